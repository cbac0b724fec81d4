import { parseManifest } from 'plimsoll/wasm';
import { describe, expect, it } from 'vitest';

const GOOD = `
name = "upper-case"
version = "1.0.0"
abi = 1
wasm = "upper-case.wasm"
stages = ["mapping", "filtering"]
min_heap = "100KiB"
max_heap = "4.03MiB"
supports_streaming = true
`;
const with_ = (line: string, key = line.split(' ')[0]!): string =>
  `${GOOD.split('\n')
    .filter((each) => !each.startsWith(`${key} `))
    .join('\n')}\n${line}\n`;
const fault = (text: string): Promise<Error> =>
  parseManifest(text, 'plugins/a.toml').then(
    () => new Error('was taken'),
    (cause: Error) => cause,
  );

describe('the manifest of a plugin', () => {
  it('is read with sizes in whole pages: what it needs up, what it may have down', async () => {
    expect(await parseManifest(GOOD, 'a.toml')).toEqual({
      name: 'upper-case',
      version: '1.0.0',
      abi: 1,
      wasm: 'upper-case.wasm',
      stages: ['mapping', 'filtering'],
      minHeapBytes: 2 * 65_536,
      maxHeapBytes: 64 * 65_536,
      supportsStreaming: true,
      supportsCompression: false,
      description: undefined,
    });
  });

  it('takes the other spellings, but not both', async () => {
    const other = GOOD.replace('min_heap', 'minHeap')
      .replace('max_heap', 'maxHeap')
      .replace('supports_streaming', 'supportsStreaming');
    expect(await parseManifest(other, 'a.toml')).toEqual(await parseManifest(GOOD, 'a.toml'));
    expect((await fault(`${GOOD}maxHeap = "1MiB"\n`)).message).toBe(
      'plugins/a.toml: `maxHeap`: is there twice, as `max_heap` too',
    );
  });

  it.each([
    [
      'a key that nobody knows',
      `${GOOD}max_heep = 1\n`,
      '`max_heep`: is no key of a manifest: did you mean `max_heap`?',
    ],
    ['__proto__', `${GOOD}"__proto__" = 1\n`, '`__proto__`: is no key of a manifest'],
    ['no name', with_('', 'name'), '`name`: is missing'],
    ['no max_heap', with_('', 'max_heap'), '`max_heap`: is missing'],
    ['a name with a path in it', with_('name = "../a"'), '`name`: is to be small letters'],
    ['a module outside the folder', with_('wasm = "../a.wasm"'), '`wasm`: is to be the name of a `.wasm` file beside'],
    ['an absolute module', with_('wasm = "/etc/a.wasm"'), '`wasm`: is to be the name'],
    ['another ABI', with_('abi = 2'), '`abi`: is to be 1, the version that this host has, not `2`'],
    ['a bare unit', with_('max_heap = "4M"'), '`max_heap`: is to be a size like `16MiB`'],
    ['a negative size', with_('max_heap = -1'), '`max_heap`: is to be a size'],
    ['a size in a list', with_('max_heap = ["1MiB"]'), '`max_heap`: is to be a size'],
    ['more than 32 bits can point at', with_('max_heap = "5GiB"'), '`max_heap`: is to be a size'],
    ['less than a page', with_('max_heap = "65535"'), '`max_heap`: is less than a page'],
    ['a minimum above the maximum', with_('min_heap = "5MiB"'), '`min_heap`: is more than `max_heap`'],
    ['no stages', with_('stages = []'), '`stages`: is to be 1 to 16 names'],
    ['stages that are no names', with_('stages = [1]'), '`stages`: is to be'],
    [
      'a flag that is a text',
      with_('supports_streaming = "yes"'),
      '`supports_streaming`: is to be `true` or `false`, not `yes`',
    ],
    ['a description with a control character', with_('description = "a\\u001b[2J"'), '`description`: is to be a line'],
    ['a description with one of eight bits', with_('description = "a\\u009b2J"'), '`description`: is to be a line'],
    ['a description that turns itself around', with_('description = "a\u202eb"'), '`description`: is to be a line'],
    ['one that sets itself apart', with_('description = "a\u2066b\u2069"'), '`description`: is to be a line'],
    [
      'a value that does',
      with_('version = "1\u202e0"'),
      '`version`: is to be a version like `1.0.0`, 40 characters at most, not `1 0`',
    ],
    ['a key that does', with_('"na\u2067me" = 1'), '`na me`'],
    ['a date', with_('version = 2026-01-01'), '`version`: is to be a version'],
    ['text that is no TOML', 'name = \n', 'line 1, column'],
    ['a table too deep', `a = ${'['.repeat(60_000)}`, ''],
    ['too much of it', `# ${'x'.repeat(70_000)}`, 'is longer than'],
  ])('is refused in one line that says where: %s', async (_, text, message) => {
    const error = await fault(text);
    expect(error).toMatchObject({ code: 'PLIMSOLL_PLUGIN_MANIFEST', file: 'plugins/a.toml' });
    expect(error.message).toContain(`plugins/a.toml: ${message}`);
    expect(error.message).not.toMatch(/[\u0000-\u001f]/);
    expect(error.message.length).toBeLessThan(300);
  });
});
