import { PlimsollError } from '../errors.ts';

/** `PLIMSOLL_RECORD_TOO_LARGE`: a record, with its key, is larger than `maxRecordBytes` of the operator. Nothing of it was kept. */
export class RecordTooLargeError extends PlimsollError {
  override readonly name: string = 'RecordTooLargeError';
  readonly maxBytes: number;

  constructor(what: string, maxBytes: number) {
    super(`${what} takes more than the ${maxBytes} bytes that \`maxRecordBytes\` allows`, {
      code: 'PLIMSOLL_RECORD_TOO_LARGE',
      recovery: 'fail',
    });
    this.maxBytes = maxBytes;
  }
}
