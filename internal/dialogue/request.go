package dialogue

import (
	"encoding/json"
	"strings"

	"github.com/tickstorm/tickstorm"
)

// The actions of requests. There are no others.
const (
	Auth        = "auth"
	Subscribe   = "subscribe"
	Unsubscribe = "unsubscribe"
)

// Request is a message of a client.
type Request struct{ Action, Params string }

// ParseRequest takes a client's message apart. Actions that there are none of are for the
// caller to pass over, which is what the vendor does.
func ParseRequest(p []byte) (r Request, err error) {
	err = json.Unmarshal(p, &r)
	return r, err
}

// Asked is one topic of a request: as it was spelled, which is how it is acknowledged, and in
// its one spelling.
type Asked struct {
	Topic tickstorm.Topic
	ID    tickstorm.Topic
}

// Topics takes the params of a request for topics apart. What is no topic of the market is
// left out: the vendor answers it with silence.
func Topics(m tickstorm.Market, params string) []Asked {
	var topics []Asked
	for part := range strings.SplitSeq(params, ",") {
		channel, symbol, ok := strings.Cut(strings.TrimSpace(part), ".")
		if _, known := m.StreamOf(channel); !ok || !known || symbol == "" {
			continue
		}
		t := tickstorm.Topic{Channel: channel, Symbol: symbol}
		topics = append(topics, Asked{t, m.Canonical(t)})
	}
	return topics
}

// LimitedChannels are the channels of options that hold a limited number of contracts.
var LimitedChannels = [...]string{"Q", "FMV", "LV"}

// OverLimit returns how many topics of a request are refused because they would take what is
// held, by topics in their one spelling, beyond most of a limited channel: all of that channel,
// or none. Only contracts of options are limited, and all of them are beyond any limit. A
// negative limit is none.
func OverLimit[V any](m tickstorm.Market, most int, held map[tickstorm.Topic]V, asked []Asked) int {
	if m != tickstorm.Options || most < 0 {
		return 0
	}
	refused := 0
	for _, channel := range LimitedChannels {
		have, want, more := 0, 0, make(map[string]bool)
		all := false
		for _, t := range asked {
			if t.ID.Channel != channel {
				continue
			}
			want++
			all = all || t.ID.Symbol == tickstorm.All
			if _, dup := held[t.ID]; !dup {
				more[t.ID.Symbol] = true
			}
		}
		if want == 0 {
			continue
		}
		for t := range held {
			if t.Channel == channel {
				have++
			}
		}
		if all || len(more) > 0 && have+len(more) > most {
			refused += want
		}
	}
	return refused
}
