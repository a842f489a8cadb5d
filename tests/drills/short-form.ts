import { chanceOf, type Drill } from './drill.ts';

/** Makes a drill's short form a test. SEED= repeats a run. What this machine does not allow is declared as skipped, with the reason in its name: never as passed. */
export function testShortForm(drill: Drill): void {
  const whyNot = drill.whyNotHere?.();
  const seed = Number(process.env['SEED'] || Math.floor(Math.random() * 2 ** 31));
  (whyNot === undefined ? test : test.skip)(`${whyNot === undefined ? '' : `NOT TRIED, ${whyNot}: `}${drill.says} (short form, seed ${seed})`, async () => {
    await drill.run({ chance: chanceOf(seed), isShort: true, note: process.env['DRILL_NOTES'] === undefined ? () => undefined : (line) => process.stderr.write(line + '\n') });
  }, drill.minutesMax * 60_000);
}
