/** How a playlist channel was matched. */
export const Match = { none: 0, id: 1, rewritten: 2, alias: 3, name: 4 } as const;
