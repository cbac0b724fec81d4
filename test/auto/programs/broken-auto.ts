/** For `--import`: auto with a governor that is broken from the start, or breaks a moment later. */
import { createGovernor } from 'plimsoll';
import { readSettings } from '../../../src/auto/settings.ts';
import { startAuto } from '../../../src/auto/start-auto.ts';
import { breakable } from '../../contract/broken-governor.ts';

const { governor, breakIt } = breakable(createGovernor({ mode: 'on', limitBytes: 120 * 2 ** 20 }));
const { settings, complaints } = readSettings(process.env);
if (process.env.BROKEN === 'from the start') breakIt();
else setTimeout(breakIt, 30).unref();
startAuto(settings, complaints, { governor });
