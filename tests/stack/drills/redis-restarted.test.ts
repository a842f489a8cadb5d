import { testShortForm } from '../../drills/short-form.ts';
import { redisRestarted } from './redis-restarted.drill.ts';

testShortForm(redisRestarted);
