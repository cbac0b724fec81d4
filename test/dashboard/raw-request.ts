import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  /** Of the status line; 0 where the connection was closed without one. */
  readonly status: number;
  readonly text: string;
}

/** Sends bytes as they are and gives what comes back until the other side closes, or until there is a whole head. */
export function sendRaw(
  port: number,
  text: string | Buffer,
  { untilClosed = false, timeoutMs = 12_000 } = {},
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let got = '';
    const end = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(got)?.[1] ?? 0), text: got });
    };
    const timer = setTimeout(end, timeoutMs);
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      got += chunk;
      if (!untilClosed && got.includes('\r\n\r\n')) end();
    });
    socket.on('error', end).on('close', end);
    socket.write(text);
  });
}

/** Only connects. */
export function holdConnection(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.on('error', reject);
    socket.once('connect', () => socket.removeListener('error', reject).on('error', () => {}));
  });
}
