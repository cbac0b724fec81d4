import { doctorPage } from './doctor-page.ts';
import { examine } from './doctor-report.ts';
import type { Screen } from './screen.ts';
import { type Told, tell } from './tell.ts';

/** Looks at this machine and tells. Returns the exit code: 1 where something is wrong. Throws `PLIMSOLL_USAGE`. */
export function doctorCommand(limitBytes: number | undefined, wanted: Told, screen: Screen): number {
  const report = examine({ limitBytes, env: screen.env });
  tell(report, doctorPage(report), wanted, screen, screen.stdout);
  return report.findings.some(({ severity }) => severity === 'wrong') ? 1 : 0;
}
