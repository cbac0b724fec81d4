const assert = require('node:assert');

describe('a list that is wrong', () => {
  it('has a length', () => assert.strictEqual([1, 2].length, 2));
  it('fails', () => assert.deepStrictEqual({ of: ['a', 'b'] }, { of: ['a', 'c'] }));
  it('throws', () => {
    throw new TypeError('on purpose');
  });
});
