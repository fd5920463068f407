package bench

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// CorpusEvents is how many events each [Corpus] has: enough that stocks1, of which
// each is a message, meets most of its symbols (14 MB), and few enough that
// encoding/json has done with them in a second.
const CorpusEvents = 100_000

// corpusSeed makes every corpus the same in every process and on every machine.
const corpusSeed = 1

// Corpus is a set of messages to measure with. See [sim.Corpus] for what is in them.
type Corpus struct {
	Name     string
	Market   tickstorm.Market
	Messages [][]byte // one behind the other in one piece of memory
	Events   int
	Bytes    int // of all messages
}

// Corpora returns the names of the corpora.
func Corpora() []string { return sim.Corpora() }

type loaded struct {
	once   sync.Once
	corpus *Corpus
	err    error
}

var corpora sync.Map // of *loaded by name

// Load returns the corpus of that name. It is made at the first call and shared: it must
// not be written to.
func Load(name string) (*Corpus, error) {
	entry, _ := corpora.LoadOrStore(name, new(loaded))
	l := entry.(*loaded)
	l.once.Do(func() { l.corpus, l.err = makeCorpus(name) })
	return l.corpus, l.err
}

func makeCorpus(name string) (*Corpus, error) {
	messages, err := sim.Corpus(name, CorpusEvents, corpusSeed)
	if err != nil {
		return nil, err
	}
	c := &Corpus{Name: name, Market: sim.CorpusMarket(name), Messages: messages, Events: CorpusEvents}
	for _, msg := range messages {
		c.Bytes += len(msg)
	}
	return c, nil
}

// Wire returns the messages as a server sends them: each in a WebSocket frame, one
// behind the other.
func (c *Corpus) Wire() []byte {
	var b bytes.Buffer
	b.Grow(c.wireBytes())
	for _, msg := range c.Messages {
		// A buffer takes everything, and the header is a correct one.
		if err := ws.WriteHeader(&b, frameHeader(msg)); err != nil {
			panic(fmt.Sprintf("bench: %v", err))
		}
		b.Write(msg)
	}
	return b.Bytes()
}

// wireBytes returns the length of Wire.
func (c *Corpus) wireBytes() int {
	n := c.Bytes
	for _, msg := range c.Messages {
		n += ws.HeaderSize(frameHeader(msg))
	}
	return n
}

func frameHeader(msg []byte) ws.Header {
	return ws.Header{Fin: true, OpCode: ws.OpText, Length: int64(len(msg))}
}
