import { testShortForm } from '../../drills/short-form.ts';
import { postgresRestarted } from './postgres-restarted.drill.ts';

testShortForm(postgresRestarted);
