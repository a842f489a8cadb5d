/** `describe` for what needs one of the run's servers: where there is none, its tests are skipped by name. */
export function describeWith(variable: string, name: string, body: (url: string) => void): void {
  const url = process.env[variable] ?? '';
  (url === '' ? describe.skip : describe)(url === '' ? `NOT TRIED, no ${variable}: ${name}` : name, () => body(url));
}
