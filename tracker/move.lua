-- Move a position on, where it still is what its mover knows.
--
-- KEYS[1]  string   the position
-- ARGV[1]  what must stand there, empty for none
-- ARGV[2]  what is to stand there
-- ARGV[3]  seconds for which it is remembered
--
-- Returns 1 where it was moved, 0 where something else stands there.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
