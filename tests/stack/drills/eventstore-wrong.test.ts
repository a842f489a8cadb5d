import { testShortForm } from '../../drills/short-form.ts';
import { eventstoreWrong } from './eventstore-wrong.drill.ts';

testShortForm(eventstoreWrong);
