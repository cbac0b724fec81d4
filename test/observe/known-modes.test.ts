import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { PIPELINE_MODES } from 'plimsoll/pipeline';
import { expect, it } from 'vitest';
import { KNOWN_MODES } from '../../src/observe/known-modes.ts';

it('the modes that are written down here are the pipeline’s, in its order', () => {
  expect(KNOWN_MODES).toEqual(PIPELINE_MODES);
});

it('who only looks loads neither a pipeline nor the cryptography of Node, 10 MB of it', () => {
  const program = `import { pathToFileURL } from 'node:url';
    import * as observe from 'plimsoll/observe';
    console.log(Object.keys(observe).length > 0, process.moduleLoadList.filter((name) => /NativeModule (crypto|zlib|inspector)$/.test(name)));`;
  const args = ['--conditions=source', '--input-type=module', '-e', program];
  const { stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: join(import.meta.dirname, '..', '..'),
    encoding: 'utf8',
  });
  expect({ stdout, stderr }).toEqual({ stdout: 'true []\n', stderr: '' });
});
