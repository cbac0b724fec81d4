import { PlimsollError } from 'plimsoll';

/**
 * `PLIMSOLL_PLAYLIST_PLUGIN_ANSWER`: what a plugin gave back for a batch cannot be so: an id that was not sent, records out of order, a forged length, a field
 * that would break the line. Nothing of the batch has been changed when this is thrown: the native stage does it instead.
 */
export class PluginAnswerError extends PlimsollError {
  override readonly name: string = 'PluginAnswerError';

  constructor(problem: string) {
    super(`what the plugin gave back cannot be used: ${problem}`, {
      code: 'PLIMSOLL_PLAYLIST_PLUGIN_ANSWER',
      recovery: 'fallback',
    });
  }
}
