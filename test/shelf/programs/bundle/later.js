export const word = 'in a file of its own';
