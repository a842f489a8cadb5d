// Loaded before a program, which at its end says how many modules of OpenTelemetry's SDK it had loaded. Its API is small, and prom-client's anyway.
import { createRequire } from 'node:module';

const { cache } = createRequire(import.meta.url);
process.on('exit', () => {
  process.stderr.write(`modules of telemetry: ${Object.keys(cache).filter((file) => file.includes('@opentelemetry') && !file.includes('@opentelemetry/api/')).length}\n`);
});
