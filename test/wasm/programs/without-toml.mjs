// A program in whose installation smol-toml is missing.
import { registerHooks } from 'node:module';

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === 'smol-toml') throw Object.assign(new Error('not installed'), { code: 'ERR_MODULE_NOT_FOUND' });
    return next(specifier, context);
  },
});
const { loadPlugins, parseManifest } = await import('plimsoll/wasm');
const codeOf = (promise) =>
  promise.then(
    () => 'taken',
    ({ code, message }) => `${code}: ${message}`,
  );
console.log(await codeOf(parseManifest('name = "a"', 'a.toml')));
console.log(await codeOf(loadPlugins(process.argv[2])));
