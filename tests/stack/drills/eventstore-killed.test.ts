import { testShortForm } from '../../drills/short-form.ts';
import { eventstoreKilled } from './eventstore-killed.drill.ts';

testShortForm(eventstoreKilled);
