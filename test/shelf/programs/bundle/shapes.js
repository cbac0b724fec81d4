export const area = ({ side }) => side ** 2;
export const neverUsed = () => 'shaken off';
