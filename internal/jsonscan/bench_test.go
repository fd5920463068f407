package jsonscan_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/tickstorm/tickstorm/internal/jsonscan"
	"github.com/valyala/fastjson"
)

// oneQuote is a message of the stocks feed as it comes in quiet times.
const oneQuote = `[{"ev":"Q","sym":"NVDA","i":[604],"bx":10,"ax":15,"bp":225.62,"ap":225.64,"bs":100,"as":500,"t":1786649956446,"pt":1786649956446,"q":106078192,"z":3}]`

// stocksMessage makes one message of the shape and the mix of the stocks feed,
// long enough for the branch predictor not to learn it by heart.
func stocksMessage(events int) string {
	rnd := rand.New(rand.NewPCG(1, 2))
	symbols := []string{"F", "GE", "SPY", "NVDA", "AAPL", "MSFT", "GOOGL", "BRK.B", "AMPpB"}
	price := func() string {
		return strconv.FormatFloat(float64(rnd.IntN(40000)+100)/100, 'f', -1, 64)
	}
	var text strings.Builder
	text.WriteByte('[')
	for i := range events {
		if i > 0 {
			text.WriteByte(',')
		}
		sym := symbols[rnd.IntN(len(symbols))]
		at := 1786649956446 + int64(i)
		switch n := rnd.IntN(100); {
		case n < 80:
			fmt.Fprintf(&text, `{"ev":"Q","sym":"%s","i":[604],"bx":%d,"ax":%d,"bp":%s,"ap":%s,"bs":%d,"as":%d,"t":%d,"pt":%d,"q":%d,"z":3}`,
				sym, 1+rnd.IntN(21), 1+rnd.IntN(21), price(), price(), 100*(1+rnd.IntN(20)), 100*(1+rnd.IntN(20)), at, at-1, rnd.IntN(2e8))
		case n < 98:
			fmt.Fprintf(&text, `{"ev":"T","sym":"%s","x":%d,"i":"%d","z":3,"p":%s,"s":%d,"ds":"%d.0","c":[0,12],"t":%d,"q":%d}`,
				sym, 1+rnd.IntN(21), rnd.IntN(1e6), price(), 1+rnd.IntN(500), 1+rnd.IntN(500), at, rnd.IntN(2e8))
		default:
			fmt.Fprintf(&text, `{"ev":"A","sym":"%s","v":%d,"av":%d,"op":%s,"vw":%s,"o":%s,"c":%s,"h":%s,"l":%s,"a":%s,"z":50,"s":%d,"e":%d}`,
				sym, rnd.IntN(1e4), rnd.IntN(1e8), price(), price(), price(), price(), price(), price(), price(), at/1000*1000, at/1000*1000+1000)
		}
	}
	text.WriteByte(']')
	return text.String()
}

func BenchmarkValid(b *testing.B) {
	validators := []struct {
		name  string
		valid func([]byte) bool
	}{
		{"jsonscan", func(msg []byte) bool {
			_, err := jsonscan.Value(msg, 0, 64)
			return err == nil
		}},
		{"encoding-json", json.Valid},
		{"fastjson", func(msg []byte) bool { return fastjson.ValidateBytes(msg) == nil }},
	}
	messages := []struct{ name, text string }{
		{"quote", oneQuote},
		{"stocks400", stocksMessage(400)},
		{"stocks4000", stocksMessage(4000)},
	}
	for _, m := range messages {
		for _, v := range validators {
			b.Run(m.name+"/"+v.name, func(b *testing.B) {
				msg := []byte(m.text)
				b.SetBytes(int64(len(msg)))
				b.ReportAllocs()
				for b.Loop() {
					if !v.valid(msg) {
						b.Fatal("rejected")
					}
				}
			})
		}
	}
}

func BenchmarkLooseEnd(b *testing.B) {
	msg := []byte(oneQuote)
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		if _, ok := jsonscan.LooseEnd(msg, 1); !ok {
			b.Fatal("no end")
		}
	}
}

var floatTokens = []string{
	"225.62", "0.9931", "12", "100", "114.125", "3.39566313e+08", "0.1234567890123456789",
	"1.7976931348623157e308", "0.10000000000000000555111512312578270211815834045410",
}

func BenchmarkFloat(b *testing.B) {
	for _, s := range floatTokens {
		tok := []byte(s)
		b.Run(s+"/jsonscan", func(b *testing.B) {
			b.SetBytes(int64(len(tok)))
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := jsonscan.Float(tok); !ok {
					b.Fatal(s)
				}
			}
		})
		b.Run(s+"/strconv", func(b *testing.B) {
			b.SetBytes(int64(len(tok)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := strconv.ParseFloat(string(tok), 64); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkInt(b *testing.B) {
	for _, s := range []string{"7", "604", "106078192", "1786649956446", "-9223372036854775808"} {
		tok := []byte(s)
		b.Run(s+"/jsonscan", func(b *testing.B) {
			b.SetBytes(int64(len(tok)))
			for b.Loop() {
				if _, ok := jsonscan.Int(tok); !ok {
					b.Fatal(s)
				}
			}
		})
		b.Run(s+"/strconv", func(b *testing.B) {
			b.SetBytes(int64(len(tok)))
			for b.Loop() {
				if _, err := strconv.ParseInt(string(tok), 10, 64); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, s := range []string{"12.0", "3.39566313e+08"} {
		tok := []byte(s)
		b.Run(s+"/jsonscan", func(b *testing.B) {
			b.SetBytes(int64(len(tok)))
			for b.Loop() {
				if _, ok := jsonscan.Int(tok); !ok {
					b.Fatal(s)
				}
			}
		})
	}
}

func BenchmarkUnescape(b *testing.B) {
	for _, s := range []string{`plain text without any escape`, `a\u00e9b\ud83d\ude00c\n\"quoted\"`} {
		raw := []byte(s)
		dst := make([]byte, 0, len(raw))
		b.Run(strconv.Itoa(len(s)), func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				dst = jsonscan.Unescape(dst[:0], raw)
			}
		})
	}
}
