// Loaded before a program: its clock differs from the machine's by as many milliseconds as the file in DRILL_CLOCK_FILE says.
// Timers, and what is measured by performance.now(), go on as they are: as on a machine whose clock is set.
import { readFileSync } from 'node:fs';

const LOOK_EVERY_MS = 50;
const RealDate = Date;
let shiftMs = read();
globalThis.setInterval(() => { shiftMs = read(); }, LOOK_EVERY_MS).unref();

globalThis.Date = class Date extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + shiftMs);
    else super(...given);
  }

  static now() { return RealDate.now() + shiftMs; }
};

function read() {
  return Number(readFileSync(process.env['DRILL_CLOCK_FILE'], 'utf8'));
}
