import { postgresKilled } from './postgres-killed.drill.ts';
import { testShortForm } from './short-form.ts';

testShortForm(postgresKilled);
