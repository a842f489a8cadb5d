import { postgresRestarted } from './postgres-restarted.drill.ts';
import { testShortForm } from './short-form.ts';

testShortForm(postgresRestarted);
