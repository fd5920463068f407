package tickstorm

import "strings"

// This file is how channels spell symbols, and what is made of the spellings of others.

// symbolForm is how a channel spells its symbols.
type symbolForm struct {
	prefix string // which the wire has
	strip  string // a prefix that users write and the wire lacks
	from   string // separators that users write
	to     string // the separator that the wire has; "-" and "/" within pairs
	pair   bool   // symbols are pairs of currencies
	coins  bool   // symbols are pairs of coins, whose names have any length
}

var (
	optionForm       = symbolForm{prefix: "O:"}
	indexForm        = symbolForm{prefix: "I:"}
	forexForm        = symbolForm{strip: "C:", from: "-", to: "/", pair: true}
	forexTightForm   = symbolForm{prefix: "C:", from: "-/", to: "", pair: true}
	forexDashForm    = symbolForm{prefix: "C:", from: "/", to: "-", pair: true}
	cryptoForm       = symbolForm{strip: "X:", from: "/", to: "-", coins: true}
	cryptoPrefixForm = symbolForm{prefix: "X:", from: "/", to: "-", coins: true}
)

// apply gives a form that it does not change again: sets of topics rest on that.
func (f symbolForm) apply(s string, keepCase bool) string {
	for _, separator := range f.from {
		s = strings.ReplaceAll(s, string(separator), f.to)
	}
	s = f.bare(s, keepCase)
	if s == All {
		return s
	}
	if !keepCase && s == strings.ToLower(s) {
		s = strings.Map(toUpper, s)
	}
	if f.pair && f.to != "" && len(s) == 6 && strings.Trim(s, letters) == "" {
		s = s[:3] + f.to + s[3:] // EURUSD: ISO 4217 codes have three letters
	}
	if base, quote := f.quoted(s); len(base) >= leastBase {
		s = base + f.to + quote
	}
	return f.prefix + s
}

// bare takes off the prefix, which is no part of the name when it comes to case.
func (f symbolForm) bare(s string, keepCase bool) string {
	prefix := f.prefix + f.strip // one of them is empty
	n := len(prefix)
	for n > 0 && len(s) >= n && (s[:n] == prefix || !keepCase && strings.EqualFold(s[:n], prefix)) {
		s = s[n:]
	}
	return s
}

// quoteCurrencies are what coins are quoted in at the exchanges that the vendor gathers from.
// None is the end of another, so that a pair without a separator has one reading at most.
var quoteCurrencies = [...]string{"USD", "USDT", "USDC", "EUR", "GBP", "JPY", "AUD", "CAD", "CHF", "BTC", "ETH"}

// leastBase is how long a base is where there is no doubt that it is one: names that end in a
// quote currency with less before it are those of coins as well (WBTC, TUSD, STETH).
const leastBase = 3

// quoted takes a pair of coins without a separator apart. base is "" if it is none.
func (f symbolForm) quoted(s string) (base, quote string) {
	if !f.coins || strings.Trim(s, letters+"0123456789") != "" {
		return "", ""
	}
	for _, quote := range quoteCurrencies {
		if n := len(s) - len(quote); n > 0 && strings.EqualFold(s[n:], quote) {
			return s[:n], s[n:]
		}
	}
	return "", ""
}

// Symbols are ASCII: upper-casing other letters could make a prefix out of none.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func toUpper(r rune) rune {
	if 'a' <= r && r <= 'z' {
		return r - 'a' + 'A'
	}
	return r
}
