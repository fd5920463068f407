package tickstorm

import "time"

// Patience bounds every wait for what comes at once unless something is broken: long
// enough for a machine that has other things to do. Nothing is asserted by it.
const Patience = time.Minute

// What a Client does with its queue, for tests of the queue alone.

func (q *Queue) Control(f func(Handler)) bool { return q.control(f) }

func (q *Queue) Push(msg []byte, received int64) bool { return q.push(msg, received) }

func (q *Queue) SetHandler(h Handler) { q.setHandler(h) }

func (q *Queue) Resume() { q.resume() }
