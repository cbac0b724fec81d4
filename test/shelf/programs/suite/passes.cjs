const assert = require('node:assert');

describe('a list', () => {
  it('knows its length', () => assert.strictEqual([1, 2, 3].length, 3));
  it('waits', () => new Promise((resolve) => setTimeout(resolve, 10)));
  it.skip('is left out');
});
