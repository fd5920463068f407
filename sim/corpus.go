package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tickstorm/tickstorm"
)

// ErrNoCorpus is returned for the name of a corpus that there is not.
var ErrNoCorpus = errors.New("no such corpus")

// corpus is the recipe of a set of messages to measure with.
type corpus struct {
	name     string
	market   tickstorm.Market
	channels []string
	batch    [2]int // events a message
}

var corpora = []corpus{
	{"stocks1", tickstorm.Stocks, []string{"T", "Q", "A", "AM"}, [2]int{1, 1}},
	{"stocks20", tickstorm.Stocks, []string{"T", "Q", "A", "AM"}, [2]int{10, 30}},
	{"stocks400", tickstorm.Stocks, []string{"T", "Q", "A", "AM"}, [2]int{300, 500}},
	{"options20", tickstorm.Options, []string{"T", "Q"}, [2]int{10, 30}},
	{"crypto", tickstorm.Crypto, []string{"XT", "XQ", "XL2"}, [2]int{1, 10}},
	{"forex", tickstorm.Forex, []string{"C"}, [2]int{10, 30}},
}

// Corpora returns the names of the corpora. The number in some of them is about how
// many events a message has: 1, 10 to 30, or 300 to 500; crypto has 1 to 10 and forex
// 10 to 30. Stocks are 80 % quotes, 18 % trades and 2 % aggregates, crypto is 50 %
// trades, 45 % quotes and 5 % books.
func Corpora() []string {
	names := make([]string, len(corpora))
	for i, c := range corpora {
		names[i] = c.name
	}
	return names
}

// CorpusMarket returns the market whose messages a corpus has, "" if there is no such corpus.
func CorpusMarket(name string) tickstorm.Market {
	for _, c := range corpora {
		if c.name == name {
			return c.market
		}
	}
	return ""
}

// corpusEpoch is when every corpus begins: half past nine in New York, on a Friday.
var corpusEpoch = time.Date(2026, time.November, 20, 14, 30, 0, 0, time.UTC)

// corpusPace is the time from one event of a corpus to the next.
const corpusPace = 20 * time.Microsecond

// corpusPiece is the size of the pieces of memory that messages lie in.
const corpusPiece = 1 << 20

// Corpus returns messages with so many events in all, over the whole universe of the
// market: the same ones for the same arguments, on every machine. It panics if events
// is negative. The error is [ErrNoCorpus]. Messages lie one behind the other in a few
// large pieces of memory, which the caller owns.
func Corpus(name string, events int, seed int64) ([][]byte, error) {
	at := slices.IndexFunc(corpora, func(c corpus) bool { return c.name == name })
	if at < 0 {
		return nil, fmt.Errorf("%w: %q; there are %v", ErrNoCorpus, name, Corpora())
	}
	if events < 0 {
		panic("sim: Corpus of a negative number of events")
	}
	c := corpora[at]
	g := NewGenerator(c.market, seed)
	for _, channel := range c.channels {
		g.Subscribe(tickstorm.Topic{Channel: channel, Symbol: tickstorm.All})
	}
	lengths := newRandom(seed, c.market, 1)
	var messages [][]byte
	var scratch, piece []byte
	now := corpusEpoch
	for left := events; left > 0; {
		n := min(left, c.batch[0]+below(uint32(lengths.next()), c.batch[1]-c.batch[0]+1))
		scratch = g.AppendMessage(scratch[:0], now, n)
		if len(scratch) > cap(piece)-len(piece) {
			piece = make([]byte, 0, max(corpusPiece, len(scratch)))
		}
		start := len(piece)
		piece = append(piece, scratch...)
		messages = append(messages, piece[start:len(piece):len(piece)])
		now = now.Add(time.Duration(n) * corpusPace)
		left -= n
	}
	return messages, nil
}
