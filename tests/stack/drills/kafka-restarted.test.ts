import { testShortForm } from '../../drills/short-form.ts';
import { kafkaRestarted } from './kafka-restarted.drill.ts';

testShortForm(kafkaRestarted);
