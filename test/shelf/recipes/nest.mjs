/** Nest with the governor as a module: two applications, one that is handed a governor and one that makes its own. Decorators as functions: no compiler. */
import 'reflect-metadata';
import { Controller, Get, Inject, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { createGovernor } from 'plimsoll';
import { PLIMSOLL, PlimsollModule } from 'plimsoll/adopt';

class LevelController {
  constructor(governor) {
    this.governor = governor;
  }

  level() {
    return { level: this.governor.level, mode: this.governor.mode, limitBytes: this.governor.limitBytes };
  }
}
Controller('level')(LevelController);
Get()(LevelController.prototype, 'level', Object.getOwnPropertyDescriptor(LevelController.prototype, 'level'));
Inject(PLIMSOLL)(LevelController, undefined, 0);

/** The controller stands in a module of its own: the governor's is global. */
class LevelModule {}
Module({ controllers: [LevelController] })(LevelModule);

async function run(options) {
  class AppModule {}
  Module({ imports: [PlimsollModule.forRoot(options), LevelModule] })(AppModule);
  const app = await NestFactory.create(AppModule, { logger: false });
  await app.listen(0, '127.0.0.1');
  const response = await fetch(`${await app.getUrl()}/level`);
  const answer = await response.json();
  const governor = app.get(PLIMSOLL);
  await app.close();
  return { status: response.status, ...answer, disposed: governor.disposed };
}

const limitBytes = 2 ** 30;
const governor = createGovernor({ limitBytes, mode: 'observe' });
const handed = await run({ governor });
const own = await run({ options: { limitBytes, mode: 'off' } });
governor[Symbol.dispose]();
console.log(JSON.stringify({ handed, own }));
