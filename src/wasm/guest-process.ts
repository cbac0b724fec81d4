/** What runs in the process of an instance: passes messages on to a thread, and ends with its parent. */
import type { GuestReport } from './guest-messages.ts';
import type { ProcessMessage } from './process-channel.ts';
import { WorkerChannel } from './worker-channel.ts';

/** Views of larger buffers are sent whole: no byte more than was put out. */
function trimmed(report: GuestReport): GuestReport {
  if (report.what !== 'reply' || !report.reply.ok || report.reply.output === undefined) return report;
  const { output, outputLength = 0, input: _, ...reply } = report.reply;
  return { what: 'reply', reply: { ...reply, output: output.slice(0, outputLength), outputLength } };
}

if (process.send !== undefined) {
  const channel = new WorkerChannel();
  channel.listen({
    onReady: () => process.send!({ what: 'ready' } satisfies GuestReport),
    onReport: (report) => process.send!(trimmed(report)),
    onEnd: () => process.exit(1),
  });
  channel.hold(true);
  process.on('disconnect', () => process.exit(0));
  process.on('message', (message: ProcessMessage) => {
    if ('request' in message) channel.send(message.request);
    else if ('spill' in message) channel.answerSpill(message.spill);
    else channel.setLevel(message.level);
  });
}
