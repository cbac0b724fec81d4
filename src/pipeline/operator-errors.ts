import { PlimsollError } from '../errors.ts';

/** `PLIMSOLL_RECORD_TOO_LARGE`: a record, with its key, is larger than `maxRecordBytes` of the operator, or a result than `maxResultBytes`. Nothing of it was kept. */
export class RecordTooLargeError extends PlimsollError {
  override readonly name: string = 'RecordTooLargeError';
  readonly maxBytes: number;

  constructor(what: string, maxBytes: number, option = 'maxRecordBytes') {
    super(`${what} takes more than the ${maxBytes} bytes that \`${option}\` allows`, {
      code: 'PLIMSOLL_RECORD_TOO_LARGE',
      recovery: 'fail',
    });
    this.maxBytes = maxBytes;
  }
}
