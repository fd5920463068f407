package tickstorm

// What a Client does with its queue, for tests of the queue alone.

func (q *Queue) Control(f func(Handler)) bool { return q.control(f) }

func (q *Queue) Push(msg []byte, received int64) bool { return q.push(msg, received) }

func (q *Queue) SetHandler(h Handler) { q.setHandler(h) }

func (q *Queue) Resume() { q.resume() }
