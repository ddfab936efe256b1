"""Scripts of commands, each of which shows what is written of one kind of change. test_changes.py compares.

SCRIPTS: name -> steps. A step is a line as one types it, for the client "a" unless it begins with the name of another one:

    SET k v         a sends it and reads the answer
    b: GET k        b does
    b> BLPOP k 0    b sends it and waits; its answer is read at the end
    ~20             so many milliseconds pass: what was to expire within them has

Words of the form {name} stand for what a script needs and a line cannot hold (DATA).
"""

# A list of 1 2 3, as DUMP of redis-server 7.0 gives it.
DATA = {"{dump}": b"\x12\x01\x02\r\r\x00\x00\x00\x03\x00\x01\x01\x02\x01\x03\x01\xff\n\x00\xca\xba5\x84\xf9\x8a\xd7\xae"}

SCRIPTS = {}

# What is written where redis-server 7.0 writes something else or does not know the commands: name -> requests, in which <moment>
# is a time in milliseconds not far from now. docs/differences.md says why.
STREAMS = {}


def lines(text):
    return [line.strip() for line in text.strip().splitlines()]


def script(name, text):
    assert name not in SCRIPTS, name
    SCRIPTS[name] = lines(text)


def stream(name, text):
    STREAMS[name] = [line.split(" ") for line in lines(text)]


# ---- Strings --------------------------------------------------------------------------------------------------------

script("set", """
    SET k v
    set k v2
    SET k v NX
    SET n v NX
    SET n v XX
    SET none v XX
    SET k v3 GET
    SET fresh v3 GET
    SET k v4 KEEPTTL
    SET k v4 XX KEEPTTL GET
    SETNX k v
    SETNX k2 v
    GETSET k v5
    GETSET k3 v5
    MSET a 1 b 2 a 3
    MSETNX a 1 z 2
    MSETNX y 1 z 2
    APPEND k x
    APPEND k4 x
    APPEND k5 ""
    SETRANGE k 3 abc
    SETRANGE k 3 ""
    SETRANGE none 3 ""
    GETDEL k
    GETDEL k
""")
script("set-with-time", """
    SET k v EX 1000
    SET k v PX 1000000
    SET k v EXAT 32503680000
    SET k v PXAT 32503680000000
    SET k v pxat 32503680000000
    SET k v EX 1000 NX
    SET k2 v EX 1000 NX
    SET k2 v XX EX 1000
    SET k2 v ex 1000 get
    SET k2 v GET PX 1000000 XX
    SET k3 v GET NX PX 1000000
    SET k v KEEPTTL
    SETEX k 1000 v
    PSETEX k 1000000 v
    setex k 1000 v
    SET k v EXAT 100
    SET k2 v PXAT 100
    SET k4 v PXAT 100
    GET k
    GET k4
""")
script("getex", """
    SET k v
    GETEX k
    GETEX k EX 1000
    GETEX k PX 1000000
    GETEX k EXAT 32503680000
    GETEX k PXAT 32503680000000
    GETEX k
    GETEX k PERSIST
    GETEX k PERSIST
    GETEX none EX 1000
    GETEX k PXAT 100
    GET k
    SET k v
    GETEX k EXAT 1
    GET k
""")
script("numbers", """
    INCR n
    INCRBY n 5
    DECR n
    DECRBY n 2
    INCRBY n 0
    INCRBYFLOAT n 1.5
    INCRBYFLOAT f 0.1
    EXPIRE f 1000
    INCRBYFLOAT f 0.2
    INCRBYFLOAT f 1e10
    SET s x
    INCR s
    INCRBYFLOAT s 1
    INCRBYFLOAT n 0
""")
script("bits", """
    SETBIT b 7 1
    SETBIT b 7 1
    SETBIT b 7 0
    SETBIT b 100 0
    BITFIELD b SET u8 0 255
    BITFIELD b GET u8 0
    BITFIELD b INCRBY u8 0 0
    BITFIELD b INCRBY u2 100 1 OVERFLOW FAIL INCRBY u2 100 10
    BITFIELD b SET u8 0 255
    BITOP AND d b
    BITOP NOT d2 b
    BITOP AND d none
    BITOP AND d3 none
    BITCOUNT b
""")
script("grown-by-bitfield", """
    BITFIELD b OVERFLOW FAIL INCRBY u2 100 10
    BITFIELD b OVERFLOW FAIL INCRBY u2 100 10
""")
stream("grown-by-bitfield", """
    BITFIELD b OVERFLOW FAIL INCRBY u2 100 10
""")
script("hyperloglog", """
    PFADD h a b c
    PFADD h a b c
    PFADD e
    PFADD e
    PFCOUNT h
    PFCOUNT h
    PFADD h d
    PFCOUNT h e
    PFCOUNT none
    PFMERGE m h e
    PFMERGE m h e
    PFMERGE n
    PFDEBUG GETREG h
    PFDEBUG TODENSE e
    PFDEBUG ENCODING e
""")

# ---- Keys -----------------------------------------------------------------------------------------------------------

script("keys", """
    MSET a 1 b 2 c 3
    DEL none
    DEL a none b
    UNLINK none
    UNLINK c none
    SET a 1
    RENAME a b
    RENAME b b
    RENAMENX b c
    SET d 1
    RENAMENX c d
    RENAMENX d d
    COPY c e
    COPY c e
    COPY c e REPLACE
    COPY none e REPLACE
    COPY c x DB 3
    COPY c x DB 3 REPLACE
    MOVE c 2
    MOVE none 2
    SET c 1
    MOVE c 2
    TOUCH c
    EXISTS c
    TYPE c
    OBJECT ENCODING c
    RANDOMKEY
    SCAN 0
    KEYS *
""")
script("databases", """
    SET a 0
    SELECT 1
    SET a 1
    b: SET b 0
    SET a 2
    SELECT 0
    SET a 3
    SWAPDB 0 1
    SWAPDB 0 0
    SELECT 5
    SWAPDB 0 1
    SET x y
    SELECT 0
    FLUSHDB
    FLUSHDB
    FLUSHDB ASYNC
    SELECT 7
    FLUSHALL
    FLUSHALL
    flushall sync
    SET after 1
""")
script("expire", """
    SET k v
    EXPIRE k 1000
    PEXPIRE k 1000000
    EXPIREAT k 32503680000
    PEXPIREAT k 32503680000000
    pexpireat k 32503680000000
    EXPIRE k 1000 NX
    EXPIRE k 1000 XX
    EXPIRE k 10 GT
    EXPIRE k 900 LT
    EXPIRE none 10
    PERSIST k
    PERSIST k
    PERSIST none
    EXPIRE k 1000 XX
    EXPIRE k 1000 NX
    EXPIRE k -1
    EXPIRE k -1
    SET k v
    PEXPIREAT k 1
    SET k v
    EXPIREAT k 1 LT
    SET k v
    EXPIRE k 0
""")
# Times that short are set by SET: PEXPIRE of redis-server looks at the clock twice, and where a millisecond has passed between, it
# deletes the key and writes that.
script("expired-keys", """
    SET k v PX 1
    ~20
    GET k
    GET k
    SET k v PX 1
    ~20
    SET k w
    SET k v PX 1
    ~20
    INCR k
    DEL k
    SET k v PX 1
    ~20
    DEL k
    SET k v PX 1
    ~20
    EXPIRE k 100
    SET k v PX 1
    ~20
    EXISTS k
    SET a 1 PX 1
    SET b 2 PX 1
    ~20
    MGET a b
    SET a 1 PX 1
    SET b 2 PX 1
    ~20
    SET b 2
    SET a 1 PX 1
    ~20
    RENAME b a
    SET k v PX 1
    ~20
    SETNX k v
    SET k v PX 1
    ~20
    GETSET k v
    SET k v PX 1
    ~20
    SET k v GET
    SET k v PX 1
    ~20
    SET k v XX
    SET k v PX 1
    ~20
    SET k v PX 1
    ~20
    LPUSHX k v
    SET k v PX 1
    ~20
    COPY k l
    SET k v PX 1
    ~20
    SINTERSTORE d k
    SET k v PX 1
    ~20
    TTL k
    SET k v PX 1
    ~20
    TYPE k
    SET k v PX 1
    ~20
    OBJECT ENCODING k
    SET k v PX 1
    ~20
    RESTORE k 0 {dump}
    SET other v PX 1
    ~20
    PFCOUNT other
""")
script("expired-in-transactions", """
    SET k v PX 1
    ~20
    MULTI
    GET k
    EXEC
    SET k v PX 1
    ~20
    MULTI
    SET k v
    GET k
    EXEC
    SET a v PX 1
    SET b v PX 1
    ~20
    MULTI
    GET a
    GET b
    EXEC
""")
script("scan-expires", """
    SET a v PX 1
    ~20
    SCAN 0 COUNT 1000
    GET a
    SET a v PX 1
    ~20
    KEYS *
    GET a
    SET a v PX 1
    ~20
    RANDOMKEY
    GET a
""")
script("restore", """
    RESTORE k 0 {dump}
    RESTORE k 0 {dump}
    RESTORE k 0 {dump} REPLACE
    RESTORE k2 1000000 {dump}
    RESTORE k3 32503680000000 {dump} ABSTTL
    RESTORE k3 1 {dump} ABSTTL
    RESTORE k3 1 {dump} ABSTTL REPLACE
    RESTORE k4 1 {dump} ABSTTL
    RESTORE k4 1000000 {dump} IDLETIME 10
    RESTORE k5 1000000 {dump} FREQ 10 REPLACE
    restore k6 0 {dump} absttl
""")
script("transactions", """
    MULTI
    SET a 1
    EXEC
    MULTI
    SET a 1
    SET b 2
    EXEC
    MULTI
    GET a
    EXEC
    MULTI
    EXEC
    MULTI
    SET a 1
    DISCARD
    MULTI
    SET a 1
    INCR x
    GET a
    LPUSH a x
    EXPIRE x 1000
    EXEC
    MULTI
    SELECT 3
    SET a 1
    SELECT 0
    SET a 1
    EXEC
    MULTI
    SET a 1
    SELECT 4
    SET a 1
    EXEC
    SET b 2
    SELECT 0
    WATCH a
    b: SET a 5
    MULTI
    SET a 6
    EXEC
    MULTI
    FLUSHALL
    SADD s x
    SPOP s
    EXEC
    MULTI
    SADD s x
    SPOP s
    SPOP s
    EXEC
    MULTI
    LPUSH l 1
    BLPOP l 0
    BLPOP l 0
    EXEC
""")

# ---- Lists ----------------------------------------------------------------------------------------------------------

script("lists", """
    RPUSH l 1 2 3 4 5 6 7 8 9
    LPUSH l 0
    LPUSHX l x
    RPUSHX l x
    LPUSHX none x
    RPUSHX none x
    LPOP l
    RPOP l
    LPOP l 2
    RPOP l 2
    LPOP l 0
    LPOP none
    LPOP none 2
    LSET l 0 x
    LSET l 100 x
    LINSERT l BEFORE x y
    LINSERT l AFTER none y
    LINSERT none AFTER none y
    LREM l 1 y
    LREM l 0 none
    LREM none 0 a
    LTRIM l 0 -1
    LTRIM l 1 -2
    LTRIM none 0 1
    LMOVE l m LEFT RIGHT
    LMOVE none m LEFT RIGHT
    LMOVE l l LEFT RIGHT
    LMOVE m m LEFT LEFT
    RPOPLPUSH l m
    RPOPLPUSH none m
    LMPOP 2 none l LEFT
    LMPOP 1 none LEFT
    LMPOP 2 l m RIGHT COUNT 5
    LMPOP 2 l m RIGHT COUNT 5
    RPUSH l 1 2 3
    LPOP l 100
    RPUSH l 1
    LTRIM l 5 6
    RPUSH l 1
    LREM l 0 1
    RPUSH l 1 2 3
    LMPOP 2 none l RIGHT COUNT 2
""")
script("blocking-at-once", """
    RPUSH l 1 2 3 4 5 6 7 8 9 10 11 12
    BLPOP none l 0
    BRPOP l none 0
    blpop l 0
    BLMOVE l m LEFT RIGHT 0
    BLMOVE l l LEFT RIGHT 0
    BRPOPLPUSH l m 0
    BLMPOP 0 2 none l LEFT
    BLMPOP 0 1 l RIGHT COUNT 2
    BLMPOP 0 1 l RIGHT COUNT 20
    BLPOP none 0.01
    ZADD z 1 a 2 b 3 c 4 d 5 e
    BZPOPMIN z 0
    BZPOPMAX none z 0
    BZMPOP 0 1 z MIN
    BZMPOP 0 2 none z MAX COUNT 5
    BZPOPMIN z 0.01
    MULTI
    BLPOP l 0
    RPUSH l 1
    BRPOP l 0
    RPUSH l 1
    BLMOVE l m LEFT LEFT 0
    RPUSH l 1
    BRPOPLPUSH l m 0
    BRPOPLPUSH l m 0
    BLMPOP 0 1 m LEFT
    EXEC
""")
script("blocking-late", """
    b> BLPOP l 0
    RPUSH l 1
    b> BRPOP l 0
    RPUSH l 1 2 3
    DEL l
    b> BLMOVE l m LEFT RIGHT 0
    RPUSH l 1
    b> BRPOPLPUSH l m 0
    RPUSH l 1
    b> BLMPOP 0 2 x l LEFT COUNT 2
    RPUSH l 1 2 3
    DEL l
    b> BLMPOP 0 1 l RIGHT
    RPUSH l 1 2 3
    DEL l
    b> BZPOPMIN z 0
    ZADD z 1 a 2 b
    b> BZPOPMAX z2 0
    ZADD z2 1 a 2 b
    DEL z
    b> BZMPOP 0 1 z MIN COUNT 2
    ZADD z 1 a 2 b 3 c
    DEL z
    b> BLPOP l 0
    c> BLPOP l 0
    d> BRPOP l 0
    RPUSH l 1 2 3 4
    DEL l
    DEL m
    b> BLMOVE l m LEFT RIGHT 0
    c> BLMOVE m n LEFT RIGHT 0
    d> BLPOP n 0
    RPUSH l 1
    DEL l
    MULTI
    RPUSH l 2
    RPUSH l 3
    EXEC
    DEL l
    b> BLPOP l 0
    MULTI
    RPUSH l 2
    SET x y
    EXEC
""")
script("blocking-in-another-database", """
    b: SELECT 3
    b> BLPOP l 0
    RPUSH l 1
    SELECT 3
    RPUSH l 1
    SELECT 0
    b> BLPOP l 0
    MOVE l 3
    SET x y
""")

# ---- Sets -----------------------------------------------------------------------------------------------------------

script("sets", """
    SADD s a b c
    SADD s a b c
    SADD s a d
    SREM s a none
    SREM s none
    SREM none x
    SMOVE s t b
    SMOVE s t none
    SMOVE t t b
    SADD s b
    SMOVE s t b
    SMOVE none t b
    SINTERSTORE d s t
    SINTERSTORE d none t
    SINTERSTORE d none t
    SUNIONSTORE d s t
    SDIFFSTORE d s t
    SREM s a b c d
""")
script("spop", """
    SADD s m1
    SPOP s
    SADD s m1 m2 m3 m4 m5 m6 m7 m8 m9
    SPOP s
    SPOP s 3
    SPOP s 0
    SPOP none
    SPOP none 3
    SPOP s 5
    SADD s m1 m2 m3
    SPOP s 2
    SPOP s 2
    SADD s m1 m2 m3
    SPOP s 100
    SADD s 1
    SPOP s 1
    SADD s 1
    spop s
""")

# ---- Hashes ---------------------------------------------------------------------------------------------------------

script("hashes", """
    HSET h a 1 b 2
    HSET h a 1
    HMSET h a 1 c 3
    HSETNX h a 2
    HSETNX h d 2
    HINCRBY h a 5
    HINCRBY h a 0
    HINCRBYFLOAT h a 1.5
    HINCRBYFLOAT h new 0.1
    hincrbyfloat h new 0.2
    HINCRBYFLOAT h b 0
    HDEL h none
    HDEL h a b none
    HDEL none a
    HDEL h c d new
""")

# ---- Sorted sets ----------------------------------------------------------------------------------------------------

script("sorted-sets", """
    ZADD z 1 a 2 b 3 c
    ZADD z 1 a
    ZADD z CH 1 a 5 b
    ZADD z NX 7 a
    ZADD z XX 7 none
    ZADD z XX 7 a
    ZADD z GT 1 a
    ZADD z LT 1 a
    ZADD z INCR 1 a
    ZADD z NX INCR 1 a
    ZADD none XX 1 a
    ZINCRBY z 0 a
    ZINCRBY z 1.5 a
    ZINCRBY z 1 new
    ZREM z none
    ZREM z new none
    ZREM none x
    ZPOPMIN z
    ZPOPMAX z
    ZPOPMIN none
    ZPOPMIN z 0
    ZADD z 1 a 2 b 3 c 4 d 5 e 6 f
    ZPOPMIN z 2
    ZPOPMAX z 2
    ZPOPMAX z 20
    ZADD z 1 a 2 b 3 c 4 d 5 e 6 f
    ZMPOP 2 none z MIN
    ZMPOP 1 z MAX COUNT 2
    ZMPOP 1 none MAX COUNT 2
    ZREMRANGEBYRANK z 0 0
    ZREMRANGEBYRANK z 10 20
    ZREMRANGEBYSCORE z 100 200
    ZREMRANGEBYSCORE z 3 3
    ZREMRANGEBYLEX z [x [y
    ZREMRANGEBYLEX z - +
    ZREMRANGEBYSCORE none 3 3
    ZADD a 1 x 2 y
    ZADD b 3 y 4 z
    ZUNIONSTORE d 2 a b
    ZINTERSTORE d 2 a b WEIGHTS 2 3
    ZDIFFSTORE d 2 a b
    ZINTERSTORE d 2 a none
    ZINTERSTORE d 2 a none
    ZRANGESTORE d a 0 -1
    ZRANGESTORE d none 0 -1
    ZRANGESTORE d none 0 -1
    ZADD z 1 a 2 b 3 c
    ZREMRANGEBYRANK z 0 -1
""")
script("geo", """
    GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
    GEOADD g 13.361389 38.115556 Palermo
    GEOADD g XX CH 13.5 38.115556 Palermo
    GEOADD g NX 13.361389 38.115556 Palermo
    GEORADIUS g 15 37 200 km STORE d
    GEORADIUS g 15 37 200 km STOREDIST d
    GEORADIUS g 15 37 200 km
    GEORADIUS g 0 0 1 m STORE d
    GEORADIUS g 0 0 1 m STORE d
    GEORADIUSBYMEMBER g Palermo 200 km STORE d
    GEOSEARCHSTORE e g FROMLONLAT 15 37 BYRADIUS 200 km
    GEOSEARCHSTORE e g FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST
    GEOSEARCHSTORE e none FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST
    GEOSEARCHSTORE e none FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST
""")
script("sort", """
    RPUSH l 3 1 2
    SORT l
    SORT l STORE d
    SORT none STORE d
    SORT none STORE d
    SORT l BY nosort GET # STORE d
    SORT_RO l
""")

# ---- Streams --------------------------------------------------------------------------------------------------------

script("streams", """
    XADD s 1-1 a b
    XADD s 5-* a b
    XADD s 5-* a b
    XADD s * a b
    XADD s 1-1 a b
    XADD none NOMKSTREAM * a b
    XADD s NOMKSTREAM * a b
    xadd s nomkstream * a b
    XADD s MAXLEN 3 * a b
    XADD s MAXLEN = 3 * a b
    XADD s MAXLEN ~ 3 * a b
    XADD s MAXLEN ~ 100 LIMIT 10 * a b
    XADD s MINID 6 * a b
    XADD s MINID = 6-1 * a b
    XADD u 1-1 a b
    XADD u MINID ~ 1 * a b
    XADD u MINID ~ 6 LIMIT 5 * a b
    XADD s NOMKSTREAM MAXLEN ~ 2 LIMIT 5 * a b c d
    XADD s LIMIT 0 MAXLEN ~ 2 * a b
    XTRIM s MAXLEN 100
    XTRIM s MAXLEN 2
    XTRIM s MAXLEN ~ 2
    XTRIM s MAXLEN ~ 0
    XTRIM none MAXLEN 2
    XADD t 1-1 a b
    XADD t 1-2 a b
    XADD t 1-3 a b
    XDEL t 1-3 9-9
    XDEL t 9-9
    XDEL none 1
    XSETID t 9-9
    XSETID t 10-1 ENTRIESADDED 100 MAXDELETEDID 9-1
    XSETID none 1
    XTRIM t MINID = 1-2
    XTRIM t MINID 1-2
    XADD t 18446744073709551615-* a b
""")
script("streams-of-many-nodes", """
    CONFIG SET stream-node-max-entries 5
    XADD s 1-1 a b
    XADD s 1-2 a b
    XADD s 1-3 a b
    XADD s 1-4 a b
    XADD s 1-5 a b
    XADD s 1-6 a b
    XADD s 1-7 a b
    XADD s 1-8 a b
    XADD s 1-9 a b
    XADD s 1-10 a b
    XADD s 1-11 a b
    XADD s MAXLEN ~ 8 1-12 a b
    XADD s MAXLEN ~ 7 1-13 a b
    XADD s MINID ~ 1-12 * a b
    XADD s 1-* a b
    XTRIM s MAXLEN ~ 1
    XTRIM s MAXLEN ~ 1 LIMIT 1
    XTRIM s MINID ~ 9999999999999999
    XADD t 1-1 a b
    XADD t 1-2 a b
    XADD t 1-3 a b
    XADD t 1-4 a b
    XADD t 1-5 a b
    XADD t 1-6 a b
    XADD t 1-7 a b
    XTRIM t MINID ~ 1-7
    XTRIM t MINID ~ 1-7
    xtrim t maxlen ~ 1 limit 5
    CONFIG SET stream-node-max-entries 100
""")
script("groups", """
    XADD s 1-1 a b
    XADD s 1-2 a b
    XADD s 1-3 a b
    XADD s 1-4 a b
    XGROUP CREATE s g 0
    XGROUP CREATE s g 0
    XGROUP CREATE s h $
    XGROUP CREATE s h2 $ ENTRIESREAD 3
    XGROUP CREATE made g $ MKSTREAM
    XGROUP CREATE made g2 0 MKSTREAM
    XGROUP SETID s h 1-1
    XGROUP SETID s h $
    XGROUP SETID s h 0 ENTRIESREAD 1
    XGROUP CREATECONSUMER s g c
    XGROUP CREATECONSUMER s g c
    XGROUP DELCONSUMER s h c
    XGROUP DESTROY s h
    XGROUP DESTROY s h
    XREADGROUP GROUP g c COUNT 1 STREAMS s >
    XREADGROUP GROUP g d COUNT 2 STREAMS s >
    XREADGROUP GROUP g c STREAMS s 0
    XREADGROUP GROUP g e NOACK STREAMS s >
    XREADGROUP GROUP g f STREAMS s >
    XREADGROUP GROUP g f STREAMS s 0
    XACK s g 1-1
    XACK s g 1-1
    XACK s g 9-9
    XACK none g 9-9
    XGROUP DELCONSUMER s g c
    XGROUP DELCONSUMER s g d
    XGROUP DELCONSUMER s g d
    XADD s 2-1 a b
    XADD s 2-2 a b
    XREADGROUP GROUP g c STREAMS s made > >
    XREADGROUP GROUP g c STREAMS made s > 0
    XREADGROUP GROUP g c STREAMS s s > 0
""")
stream("groups", """
    XADD s 1-1 a b
    XADD s 1-2 a b
    XADD s 1-3 a b
    XADD s 1-4 a b
    XGROUP CREATE s g 0
    XGROUP CREATE s h $
    XGROUP CREATE s h2 $ ENTRIESREAD 3
    XGROUP CREATE made g $ MKSTREAM
    XGROUP CREATE made g2 0 MKSTREAM
    XGROUP SETID s h 1-1
    XGROUP SETID s h $
    XGROUP SETID s h 0 ENTRIESREAD 1
    XGROUP CREATECONSUMER s g c
    XGROUP DESTROY s h
    MULTI
    XCLAIM s g c 0 1-1 TIME <moment> RETRYCOUNT 1 FORCE JUSTID LASTID 1-1
    XGROUP SETID s g 1-1 ENTRIESREAD 1
    EXEC
    MULTI
    XCLAIM s g d 0 1-2 TIME <moment> RETRYCOUNT 1 FORCE JUSTID LASTID 1-2
    XCLAIM s g d 0 1-3 TIME <moment> RETRYCOUNT 1 FORCE JUSTID LASTID 1-3
    XGROUP SETID s g 1-3 ENTRIESREAD 3
    EXEC
    MULTI
    XGROUP CREATECONSUMER s g e
    XGROUP SETID s g 1-4 ENTRIESREAD 4
    EXEC
    XGROUP CREATECONSUMER s g f
    XACK s g 1-1
    XGROUP DELCONSUMER s g c
    XGROUP DELCONSUMER s g d
    XADD s 2-1 a b
    XADD s 2-2 a b
    MULTI
    XCLAIM s g c 0 2-1 TIME <moment> RETRYCOUNT 1 FORCE JUSTID LASTID 2-1
    XCLAIM s g c 0 2-2 TIME <moment> RETRYCOUNT 1 FORCE JUSTID LASTID 2-2
    XGROUP SETID s g 2-2 ENTRIESREAD 6
    XGROUP CREATECONSUMER made g c
    EXEC
""")
script("groups-late", """
    XGROUP CREATE s g 0 MKSTREAM
    b> XREADGROUP GROUP g c BLOCK 0 STREAMS s >
    XADD s 1-1 a b
    b> XREADGROUP GROUP g c BLOCK 0 STREAMS s >
    c> XREADGROUP GROUP g d BLOCK 0 NOACK STREAMS s >
    XADD s 1-2 a b
    XADD s 1-3 a b
    b> XREADGROUP GROUP g new BLOCK 0 STREAMS s >
    XGROUP DESTROY s g
    XADD s 1-4 a b
    b> XREAD BLOCK 0 STREAMS s $
    XADD s 1-5 a b
""")
stream("groups-late", """
    XGROUP CREATE s g 0 MKSTREAM
    XGROUP CREATECONSUMER s g c
    XADD s 1-1 a b
    MULTI
    XCLAIM s g c 0 1-1 TIME <moment> RETRYCOUNT 1 FORCE JUSTID LASTID 1-1
    XGROUP SETID s g 1-1 ENTRIESREAD 1
    EXEC
    XGROUP CREATECONSUMER s g d
    XADD s 1-2 a b
    MULTI
    XCLAIM s g c 0 1-2 TIME <moment> RETRYCOUNT 1 FORCE JUSTID LASTID 1-2
    XGROUP SETID s g 1-2 ENTRIESREAD 2
    EXEC
    XADD s 1-3 a b
    XGROUP SETID s g 1-3 ENTRIESREAD 3
    XGROUP CREATECONSUMER s g new
    XGROUP DESTROY s g
    XADD s 1-4 a b
    XADD s 1-5 a b
""")
script("claims", """
    XADD s 1-1 a b
    XADD s 1-2 a b
    XADD s 1-3 a b
    XADD s 1-4 a b
    XGROUP CREATE s g 0
    XREADGROUP GROUP g c STREAMS s >
    XADD s 2 a b
    XCLAIM s g d 0 2 FORCE
    XACK s g 2
    XCLAIM s g d 0 1-1
    XCLAIM s g d 0 1-1 1-2 JUSTID
    XCLAIM s g d 1000000 1-1
    XCLAIM s g d 0 9-9
    XCLAIM s g d 0 1-1 IDLE 1000
    XCLAIM s g d 0 1-1 TIME 1700000000000 RETRYCOUNT 7
    XCLAIM s g d 0 1-1 LASTID 5-5
    XCLAIM s g d 0 9-9 LASTID 6-6
    XACK s g 1-1
    XCLAIM s g d 0 1-1
    XCLAIM s g d 0 1-1 FORCE
    XCLAIM s g new 0 1-1 FORCE JUSTID
    XCLAIM s g new2 0 8-8 FORCE
    XDEL s 1-2
    XCLAIM s g d 0 1-2
    XDEL s 1-3
    XAUTOCLAIM s g e 0 0
    XAUTOCLAIM s g e 0 0 COUNT 1
    XAUTOCLAIM s g e 0 0 JUSTID
    XAUTOCLAIM s g e2 1000000 0
    XPENDING s g
""")
stream("claims", """
    XADD s 1-1 a b
    XADD s 1-2 a b
    XADD s 1-3 a b
    XADD s 1-4 a b
    XGROUP CREATE s g 0
    MULTI
    XCLAIM s g c 0 1-1 TIME <moment> RETRYCOUNT 1 FORCE JUSTID LASTID 1-1
    XCLAIM s g c 0 1-2 TIME <moment> RETRYCOUNT 1 FORCE JUSTID LASTID 1-2
    XCLAIM s g c 0 1-3 TIME <moment> RETRYCOUNT 1 FORCE JUSTID LASTID 1-3
    XCLAIM s g c 0 1-4 TIME <moment> RETRYCOUNT 1 FORCE JUSTID LASTID 1-4
    XGROUP SETID s g 1-4 ENTRIESREAD 4
    EXEC
    XADD s 2 a b
    XCLAIM s g d 0 2 TIME <moment> RETRYCOUNT 2 FORCE JUSTID LASTID 1-4
    XACK s g 2
    XCLAIM s g d 0 1-1 TIME <moment> RETRYCOUNT 2 FORCE JUSTID LASTID 1-4
    MULTI
    XCLAIM s g d 0 1-1 TIME <moment> RETRYCOUNT 2 FORCE JUSTID LASTID 1-4
    XCLAIM s g d 0 1-2 TIME <moment> RETRYCOUNT 1 FORCE JUSTID LASTID 1-4
    EXEC
    XCLAIM s g d 0 1-1 TIME <moment> RETRYCOUNT 3 FORCE JUSTID LASTID 1-4
    XCLAIM s g d 0 1-1 TIME 1700000000000 RETRYCOUNT 7 FORCE JUSTID LASTID 1-4
    XCLAIM s g d 0 1-1 TIME <moment> RETRYCOUNT 8 FORCE JUSTID LASTID 5-5
    XGROUP SETID s g 6-6 ENTRIESREAD 4
    XACK s g 1-1
    XCLAIM s g d 0 1-1 TIME <moment> RETRYCOUNT 2 FORCE JUSTID LASTID 6-6
    XCLAIM s g new 0 1-1 TIME <moment> RETRYCOUNT 2 FORCE JUSTID LASTID 6-6
    XGROUP CREATECONSUMER s g new2
    XDEL s 1-2
    XCLAIM s g d 0 1-2 TIME <moment> RETRYCOUNT 1 FORCE JUSTID LASTID 6-6
    XDEL s 1-3
    MULTI
    XCLAIM s g e 0 1-1 TIME <moment> RETRYCOUNT 3 FORCE JUSTID LASTID 6-6
    XCLAIM s g c 0 1-3 TIME <moment> RETRYCOUNT 1 FORCE JUSTID LASTID 6-6
    XCLAIM s g e 0 1-4 TIME <moment> RETRYCOUNT 2 FORCE JUSTID LASTID 6-6
    EXEC
    XCLAIM s g e 0 1-1 TIME <moment> RETRYCOUNT 4 FORCE JUSTID LASTID 6-6
    MULTI
    XCLAIM s g e 0 1-1 TIME <moment> RETRYCOUNT 4 FORCE JUSTID LASTID 6-6
    XCLAIM s g e 0 1-4 TIME <moment> RETRYCOUNT 2 FORCE JUSTID LASTID 6-6
    EXEC
    XGROUP CREATECONSUMER s g e2
""")

# ---- Commands that redis-server 7.0 does not know ---------------------------------------------------------------------

script("times-of-fields", """
    HSET h a 1 b 2 c 3 d 4
    HEXPIRE h 1000 FIELDS 2 a none
    HPEXPIRE h 1000000 NX FIELDS 2 a b
    HEXPIREAT h 32503680000 FIELDS 1 c
    HPEXPIREAT h 32503680000000 FIELDS 2 c d
    HEXPIRE h 1000 GT FIELDS 1 c
    HINCRBYFLOAT h a 1.5
    HINCRBYFLOAT h e 1.5
    HPERSIST h FIELDS 2 a e
    HPERSIST h FIELDS 1 a
    HPERSIST h FIELDS 1 none
    HGETEX h FIELDS 2 a b
    HGETEX h EX 1000 FIELDS 2 a none
    HGETEX h PERSIST FIELDS 2 a none
    HGETEX h PERSIST FIELDS 1 a
    HSETEX h FIELDS 1 a 5
    HSETEX h KEEPTTL FIELDS 1 b 5
    HSETEX h EX 1000 FIELDS 2 a 5 f 6
    HSETEX h FNX EX 1000 FIELDS 1 a 7
    HSETEX h FXX PX 1000000 FIELDS 1 a 7
    HSETEX h XX FXX FIELDS 1 a 8
    HSETEX h XX KEEPTTL FIELDS 1 a 9
    HSETEX new PXAT 32503680000000 FIELDS 1 a 7
    HSETEX newer NX FNX FIELDS 1 a 7
    HSETEX h PXAT 1 FIELDS 2 f 6 none 6
    HGETDEL h FIELDS 2 e none
    HGETDEL h FIELDS 1 none
    HEXPIRE h 0 FIELDS 2 a none
    HPEXPIREAT h 1 FIELDS 3 b c d
    HSET h a 1 b 2 c 3
    HPEXPIRE h 1 FIELDS 2 a b
    ~20
    HGET h a
    HPEXPIRE h 1 FIELDS 1 c
    ~20
    HSET h d 1
    HPEXPIRE h 1 FIELDS 1 d
    ~20
    HLEN h
    GETEX h
    SET s v
    SET s w IFEQ v
    SET s w IFEQ none
    SET s x IFEQ w GET
    SET s y IFEQ x EX 1000
""")
stream("times-of-fields", """
    HSET h a 1 b 2 c 3 d 4
    HPEXPIREAT h <moment> FIELDS 1 a
    HPEXPIREAT h <moment> FIELDS 1 b
    HPEXPIREAT h 32503680000000 FIELDS 1 c
    HPEXPIREAT h 32503680000000 FIELDS 2 c d
    HSETEX h KEEPTTL FIELDS 1 a 2.5
    HSET h e 1.5
    HPERSIST h FIELDS 2 a e
    HPEXPIREAT h <moment> FIELDS 1 a
    HPERSIST h FIELDS 1 a
    HSETEX h FIELDS 1 a 5
    HSETEX h KEEPTTL FIELDS 1 b 5
    HSETEX h PXAT <moment> FIELDS 2 a 5 f 6
    HSETEX h PXAT <moment> FIELDS 1 a 7
    HSETEX h FIELDS 1 a 8
    HSETEX h KEEPTTL FIELDS 1 a 9
    HSETEX new PXAT 32503680000000 FIELDS 1 a 7
    HSETEX newer FIELDS 1 a 7
    HDEL h f
    HDEL h e
    HDEL h a
    HDEL h b c d
    HSET h a 1 b 2 c 3
    HPEXPIREAT h <moment> FIELDS 2 a b
    MULTI
    HDEL h a
    HDEL h b
    EXEC
    HPEXPIREAT h <moment> FIELDS 1 c
    MULTI
    HDEL h c
    HSET h d 1
    EXEC
    HPEXPIREAT h <moment> FIELDS 1 d
    HDEL h d
    SET s v
    SET s w
    SET s x
    SET s y PXAT <moment>
""")

# ---- Messages -------------------------------------------------------------------------------------------------------

script("messages", """
    PUBLISH c m
    SPUBLISH c m
    MULTI
    SET a 1
    PUBLISH c m
    EXEC
    MULTI
    PUBLISH c m
    PUBLISH c m
    EXEC
    SET b 1
    PUBLISH c m
    SELECT 3
    PUBLISH c m
    SET b 1
    CONFIG SET maxclients 1000
    CLIENT SETNAME x
    PING
""")
