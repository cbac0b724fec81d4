// Ends by what nobody catches.
process.on('exit', (code) => console.log('exit', code));
setImmediate(() => {
  throw new Error('nobody catches this');
});
