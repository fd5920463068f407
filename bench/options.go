package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/tickstorm/tickstorm"
)

// This file is options1m: messages of a market as large as that of US options. The corpora of
// package sim have 20,000 contracts by zipf's law, which caches hold.

// Contracts is how many option contracts [Contract] knows: as many as are listed in the US.
const Contracts = 1_500_000

// Of each underlying there are so many expirations, strikes, and a call and a put.
const (
	expirations = 12
	strikes     = 25
	chain       = expirations * strikes * 2
)

// Contract returns the symbol of option contract i, below [Contracts], in the form of the OCC:
// O:, the underlying, year, month and day, C or P, and the strike in thousandths in eight
// digits. All are different. Those of one underlying follow each other.
func Contract(i int) string { return string(AppendContract(nil, i)) }

// AppendContract appends the symbol of option contract i, as [Contract] returns it.
func AppendContract(b []byte, i int) []byte {
	underlying, of := i/chain, i%chain
	b = append(b, "O:"...)
	b = appendRoot(b, underlying)
	expiration := of / (strikes * 2)
	b = appendDigits(b, 26+expiration/12, 2)
	b = appendDigits(b, 1+expiration%12, 2)
	b = appendDigits(b, 1+(underlying+expiration*7)%28, 2)
	b = append(b, "CP"[of%2])
	step := 500 << (underlying % 4) // from half a dollar to four
	return appendDigits(b, (10+of/2%strikes)*step, 8)
}

// rootLengths is how long roots are, in turn: three or four letters mostly, six at most. A few
// underlyings have several lengths as well, so that markets do not differ by that.
var rootLengths = [...]int{3, 4, 3, 4, 3, 2, 4, 3, 5, 3, 4, 3, 1, 4, 3, 6}

// appendRoot appends one to six letters, other ones for each underlying: its number in letters
// up to Y, and Z as often as its length wants.
func appendRoot(b []byte, underlying int) []byte {
	length := rootLengths[underlying%len(rootLengths)]
	for n := underlying + 1; n > 0; n = (n - 1) / 25 {
		b = append(b, byte('A'+(n-1)%25))
		length--
	}
	for ; length > 0; length-- {
		b = append(b, 'Z')
	}
	return b
}

func appendDigits(b []byte, x, width int) []byte {
	for div := int(math.Pow10(width - 1)); div > 0; div /= 10 {
		b = append(b, byte('0'+x/div%10))
	}
	return b
}

// Distributions returns the names of the laws by which the events of options1m are dealt out
// over n contracts:
//
//   - uniform: each is as likely as any other.
//   - zipf: the one of rank k has 1/k of the events of the first.
//   - day: nine events of ten are of the hot contracts, one in 200 and 2,000 at most, by zipf
//     among themselves: those near the money of few underlyings. The tenth is of any. At 4,000
//     events a second one of 1.5 million contracts comes about once an hour.
func Distributions() []string { return []string{"uniform", "zipf", "day"} }

// Options returns messages of 20 events each, in all at least so many, of channel T or Q over
// the first n contracts by one of the [Distributions]: the same ones for the same arguments.
func Options(channel string, n int, distribution string, events int) (*Corpus, error) {
	if n < 1 || n > Contracts || events < 0 || channel != "T" && channel != "Q" {
		return nil, fmt.Errorf("no messages of channel %q, %d contracts and %d events", channel, n, events)
	}
	rng := rand.New(rand.NewPCG(corpusSeed, uint64(n)))
	draw, err := drawer(rng, n, distribution)
	if err != nil {
		return nil, err
	}
	c := &Corpus{Name: fmt.Sprintf("options1m/%s/%d/%s", channel, n, distribution), Market: tickstorm.Options}
	var piece []byte
	for at := int64(1795185000000); c.Events < events; at++ {
		if cap(piece)-len(piece) < 20*200 {
			piece = make([]byte, 0, 1<<20)
		}
		start := len(piece)
		piece = append(piece, '[')
		for k := range 20 {
			if k > 0 {
				piece = append(piece, ',')
			}
			piece = appendOption(piece, rng, channel, draw(), at)
		}
		piece = append(piece, ']')
		c.Messages = append(c.Messages, piece[start:len(piece):len(piece)])
		c.Bytes += len(piece) - start
		c.Events += 20
	}
	return c, nil
}

// appendOption appends an event in the vendor's form.
func appendOption(b []byte, rng *rand.Rand, channel string, contract int, at int64) []byte {
	price := int64(1 + rng.IntN(2000))
	exchange := func() int64 { return int64(300 + rng.IntN(26)) }
	b = append(append(append(b, `{"ev":"`...), channel...), `","sym":"`...)
	b = append(AppendContract(b, contract), '"')
	number := func(key string, x int64) {
		b = append(append(append(b, `,"`...), key...), `":`...)
		b = strconv.AppendInt(b, x, 10)
	}
	dollars := func(key string, cents int64) {
		b = append(append(append(b, `,"`...), key...), `":`...)
		b = strconv.AppendFloat(b, float64(cents)/100, 'f', -1, 64)
	}
	if channel == "T" {
		number("x", exchange())
		dollars("p", price)
		number("s", int64(1+rng.IntN(50)))
		b = append(b, `,"c":[`...)
		b = append(strconv.AppendInt(b, int64(200+rng.IntN(40)), 10), ']')
	} else {
		number("bx", exchange())
		number("ax", exchange())
		dollars("bp", price)
		dollars("ap", price+int64(1+rng.IntN(20)))
		number("bs", int64(1+rng.IntN(120)))
		number("as", int64(1+rng.IntN(120)))
	}
	number("t", at)
	number("q", int64(1_860_000_000+rng.IntN(2_000_000)))
	return append(b, '}')
}

// drawer returns a function that draws contracts.
func drawer(rng *rand.Rand, n int, distribution string) (func() int, error) {
	uniform := func() int { return rng.IntN(n) }
	// By zipf's law the logarithm of a rank is even, near enough.
	rank := func(ranks int) int {
		return int(math.Exp(rng.Float64()*math.Log(float64(ranks+1)))) - 1
	}
	switch distribution {
	case "uniform":
		return uniform, nil
	case "zipf":
		// Ranks are dealt out by steps of a prime, so that neighbours do not share their rank.
		return func() int { return int(uint64(rank(n)) * prime % uint64(n)) }, nil
	case "day":
		ranks := min(max(n/200, 1), 2000)
		return func() int {
			if rng.IntN(10) == 0 {
				return uniform()
			}
			return hot(rank(ranks), ranks, n)
		}, nil
	}
	return nil, fmt.Errorf("no distribution %q; there are %v", distribution, Distributions())
}

// prime is beyond all numbers of contracts and divides none of them.
const prime = 7_368_787

// nearMoney is how many contracts of an underlying can be hot: those of its next two expirations
// and its ten middle strikes.
const nearMoney = 2 * 10 * 2

// hot returns which of n contracts is the hot one of a rank, of so many. The ranks go round the
// hot underlyings, which lie apart, and are nearest to the money first.
func hot(rank, ranks, n int) int {
	underlyings := max(n/chain, 1)
	hotOnes := min((ranks+nearMoney-1)/nearMoney, underlyings)
	underlying := rank % hotOnes * (underlyings / hotOnes)
	near := rank / hotOnes
	right, expiration, distance := near%2, near/2%2, near/4
	strike := strikes / 2
	if distance%2 == 1 {
		strike += (distance + 1) / 2
	} else {
		strike -= distance / 2
	}
	return (underlying*chain + expiration*strikes*2 + strike*2 + right) % n
}
