/** What of tests/e2e is not run on the stack, and why. Without a test: the whole file. */
export const LEFT_OUT: readonly { readonly file: string; readonly test?: string; readonly why: string }[] = [
  { file: 'migrate-log', why: 'it begins on the log in the database, and brings a double of its own' },
  { file: 'workers', why: 'it is about the second process of "tekai up"' },
  { file: 'demo', why: 'the demo runs an engine of its own, with a database of its own' },
  { file: 'traces', why: 'it turns traces on between two starts; the distributed form has traces.kafka.test.ts' },
  { file: 'waits-at-start', why: 'it starts engines of its own, on what is away' },
  { file: 'docs', test: 'the table of routes', why: 'behind a gateway GET / lists what one service serves' },
  { file: 'content', test: 'whose name has a zero byte', why: 'nginx itself answers 400 to %00' },
  { file: 'lists', test: 'limits are told', why: 'behind a gateway no service knows all that an address takes: OPTIONS and 405 speak for one' },
];

export function whyLeftOut(path: string, test: string): string | undefined {
  return LEFT_OUT.find((one) => path.endsWith(`/${one.file}.test.ts`) && (one.test === undefined || test.startsWith(one.test)))?.why;
}
