# ruby-redis: Ruby's sockets, which do not block in the kernel's eyes and wait with poll.
require 'redis'
mode, path = ARGV
db = Redis.new(path: path, read_timeout: mode == 'survive' ? 0 : 60, reconnect_attempts: 0)

def check(is_right, what)
  abort("wrong: #{what}") unless is_right
end

check(db.ping == 'PONG', 'PING')
if mode == 'survive'
  $stdout.sync = true
  puts 'ready'
  begin
    db.blpop('nothing', timeout: 0)
  rescue Redis::BaseConnectionError
    puts 'told'
  end
  $stdin.gets
  check(db.set('again', 1) == 'OK', 'SET after a restart')
  puts 'back'
  exit
end
300.times do |number|
  check(db.set('key', number) == 'OK' && db.get('key') == number.to_s, 'SET and GET')
end
large = Random.bytes(3_000_000)
check(db.set('large', large) == 'OK' && db.get('large').b == large, 'a large value')
answers = db.pipelined { |pipe| 5000.times { |number| pipe.echo(number.to_s) } }
check(answers == (0...5000).map(&:to_s), 'a pipeline')
heard = Queue.new
listener = Thread.new do
  Redis.new(path: path).subscribe('events') do |on|
    on.subscribe { heard << 'there' }
    on.message do |_, text|
      heard << text
      Thread.exit
    end
  end
end
check(heard.pop == 'there', 'SUBSCRIBE')
db.publish('events', 'hello')
check(heard.pop == 'hello', 'a message')
listener.join
puts 'done'
