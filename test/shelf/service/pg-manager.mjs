/** `pg` behind a connection pool: what a manager of real connections comes to. */
import pg from 'pg';

export class PgManager {
  constructor(url, name) {
    this.options = { connectionString: url, application_name: name };
    /** Closed and not, for the check at the end. */
    this.opened = 0;
    this.ended = 0;
  }

  async create({ signal, lost }) {
    const client = new pg.Client(this.options);
    // What an idle client meets; without a listener it would end the process.
    client.on('error', lost);
    client.once('end', () => lost());
    const giveUp = () => client.connection.stream.destroy(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      await client.connect();
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
    this.opened++;
    return client;
  }

  async isValid(client) {
    await client.query('select 1');
    return true;
  }

  async destroy(client) {
    this.ended++;
    await client.end();
  }
}
