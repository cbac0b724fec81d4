const LOOPBACK_4 = /^127(?:\.\d{1,3}){3}$/;
const IP_4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;
const IP_6 = /^\[[0-9a-f:.]+\]$/;

/** Whether only this machine can be meant: `localhost`, `127.x.x.x`, `::1`, with or without brackets. */
export function isLoopbackHost(host: string): boolean {
  const name = host.toLowerCase();
  return name === 'localhost' || name === '::1' || name === '[::1]' || LOOPBACK_4.test(name);
}

/** Whether a connection comes from this machine. One without an address, by a socket of the file system say, counts as one that does not. */
export function isLoopbackAddress(address: string | undefined): boolean {
  return address !== undefined && isLoopbackHost(address.replace(/^::ffff:/i, ''));
}

/** Whether a host, as a URL has it, is an address and no name: nobody can make an address point elsewhere. */
export function isAddress(host: string): boolean {
  return IP_4.test(host) || IP_6.test(host.toLowerCase());
}
