import type { Pipeline } from 'plimsoll/pipeline';
import type { SpoolRecord } from './channels/channel-spool.ts';
import type { WantedChannels } from './guide/wanted.ts';
import type { FileSink } from './output/file-sink.ts';
import type { GuideTally } from './report/run-report.ts';

export class GuideJob implements AsyncDisposable {
  declare readonly wanted: WantedChannels;
  readonly tallies: GuideTally[] = [];
  async index(_p: Pipeline, _full: boolean): Promise<void> {}
  noteMatched(_r: SpoolRecord, _m: number): void {}
  async write(_p: Pipeline, _s: FileSink): Promise<boolean> {
    return true;
  }
  async keep(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}
