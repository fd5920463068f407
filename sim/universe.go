package sim

import (
	"fmt"
	"sync"

	"github.com/tickstorm/tickstorm"
)

// universe is the symbols that a market has, the busiest first, in the spelling of
// the market's own channels. It never changes and is shared by all generators.
type universe struct {
	symbols []string
	index   map[string]int32
}

func (u *universe) find(symbol string) (int32, bool) {
	i, ok := u.index[symbol]
	return i, ok
}

var universes = map[tickstorm.Market]func() *universe{
	tickstorm.Stocks:       sync.OnceValue(stockUniverse),
	tickstorm.Options:      sync.OnceValue(optionUniverse),
	tickstorm.Forex:        sync.OnceValue(forexUniverse),
	tickstorm.Crypto:       sync.OnceValue(cryptoUniverse),
	tickstorm.Indices:      sync.OnceValue(indexUniverse),
	tickstorm.Futures:      sync.OnceValue(func() *universe { return futuresUniverse(cmeRoots, cbotRoots, nymexRoots, comexRoots) }),
	tickstorm.FuturesCME:   sync.OnceValue(func() *universe { return futuresUniverse(cmeRoots) }),
	tickstorm.FuturesCBOT:  sync.OnceValue(func() *universe { return futuresUniverse(cbotRoots) }),
	tickstorm.FuturesNYMEX: sync.OnceValue(func() *universe { return futuresUniverse(nymexRoots) }),
	tickstorm.FuturesCOMEX: sync.OnceValue(func() *universe { return futuresUniverse(comexRoots) }),
}

// universeOf returns a market's symbols; a market that the vendor does not have has none.
func universeOf(m tickstorm.Market) *universe {
	if symbols, ok := universes[m]; ok {
		return symbols()
	}
	return &universe{}
}

// Symbols returns the symbols that the simulator has data for on a market, the
// busiest first: 8,000 stocks, 20,000 option contracts, hundreds to thousands
// elsewhere. A subscription to any other symbol is acknowledged and stays silent.
func Symbols(m tickstorm.Market) []string {
	return append([]string(nil), universeOf(m).symbols...)
}

func newUniverse(most int) *universe {
	return &universe{symbols: make([]string, 0, most), index: make(map[string]int32, most)}
}

func (u *universe) add(symbol string) {
	if _, ok := u.index[symbol]; ok {
		return
	}
	u.index[symbol] = int32(len(u.symbols))
	u.symbols = append(u.symbols, symbol)
}

// The busiest symbols have their real names, so that examples read well; what trades
// under the others is made up.
var (
	stockNames = []string{
		"AAPL", "NVDA", "TSLA", "SPY", "QQQ", "MSFT", "AMZN", "AMD", "META", "GOOGL", "PLTR", "INTC", "SOXL", "TQQQ", "IWM",
		"GOOG", "AVGO", "NFLX", "F", "BAC", "T", "JPM", "MU", "C", "SOFI", "NIO", "XLF", "DIS", "BA", "UBER", "WMT", "XOM",
		"PFE", "KO", "V", "CSCO", "GE", "GM", "WFC", "BRK.B", "ORCL", "CRM", "COIN", "HOOD", "MSTR", "GME", "AMC", "BF.B", "BRK.A",
	}
	currencies = []string{
		"EUR", "USD", "JPY", "GBP", "AUD", "CAD", "CHF", "NZD", "CNH", "SEK", "NOK", "MXN", "SGD", "HKD", "TRY", "ZAR",
		"PLN", "DKK", "CZK", "HUF", "ILS", "INR", "KRW", "THB", "TWD", "BRL", "IDR", "PHP", "RON", "CLP",
	}
	forexMajors = []string{
		"EUR/USD", "USD/JPY", "GBP/USD", "AUD/USD", "USD/CAD", "USD/CHF", "NZD/USD", "EUR/JPY", "EUR/GBP", "USD/CNH", "GBP/JPY",
	}
	coins = []string{
		"BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "AVAX", "LINK", "LTC", "DOT", "SHIB", "UNI", "BCH", "XLM", "ATOM", "ETC",
		"FIL", "APT", "ARB", "OP", "NEAR", "AAVE", "ALGO", "PEPE", "SUI", "MKR", "GRT", "SAND", "MANA", "CRV",
	}
	indexNames = []string{"SPX", "NDX", "DJI", "RUT", "VIX", "COMP", "OEX", "SOX", "XAU", "VXN"}

	cmeRoots   = []string{"ES", "NQ", "MES", "MNQ", "RTY", "6E", "6J", "6B", "6C", "6A", "6S", "LE", "HE", "SR3", "BTC", "MBT"}
	cbotRoots  = []string{"ZN", "ZB", "ZF", "ZT", "ZC", "ZS", "ZW", "YM", "MYM", "ZL", "ZM", "UB"}
	nymexRoots = []string{"CL", "NG", "RB", "HO", "MCL", "BZ", "PL", "PA", "QM"}
	comexRoots = []string{"GC", "SI", "HG", "MGC", "SIL", "QO"}
)

func stockUniverse() *universe {
	const count = 8000
	u := newUniverse(count)
	for _, s := range stockNames {
		u.add(s)
	}
	// A stride that shares no factor with 26^4 spreads the names over the alphabet.
	for i := 0; len(u.symbols) < count; i++ {
		n := i * 48271 % (26 * 26 * 26 * 26)
		s := letters(n, 4)
		switch {
		case i%97 == 0:
			s = s[:3] + ".A"
		case i%11 == 0:
			s = s[:3]
		case i%29 == 0:
			s += "W"
		}
		u.add(s)
	}
	return u
}

// letters writes n in base 26.
func letters(n, width int) string {
	b := make([]byte, width)
	for i := range b {
		b[i] = byte('A' + n%26)
		n /= 26
	}
	return string(b)
}

func optionUniverse() *universe {
	underlyings := append([]string{"SPY", "QQQ", "SPXW", "IWM"}, letterNames(stockNames)...)[:50]
	expiries := []string{"261218", "261224", "270115", "270319", "270618"}
	const strikes = 40
	u := newUniverse(len(underlyings) * len(expiries) * strikes * 2)
	// Contracts near the money of every underlying come before the far ones of any.
	for i := range strikes {
		for _, expiry := range expiries {
			for j, underlying := range underlyings {
				money := 40 + j*13%560
				strike := money + (i+1)/2*5*(1-i%2*2)
				if strike <= 0 {
					strike = 1000 + i
				}
				for _, side := range [2]byte{'C', 'P'} {
					u.add(fmt.Sprintf("O:%s%s%c%08d", underlying, expiry, side, strike*1000))
				}
			}
		}
	}
	return u
}

// letterNames returns the names that can stand in an option's symbol and are no
// exchange-traded fund that leads the list already.
func letterNames(names []string) []string {
	var plain []string
	for _, s := range names {
		if s == "SPY" || s == "QQQ" || s == "IWM" {
			continue
		}
		if len(s) <= 4 {
			plain = append(plain, s)
		}
	}
	return append(plain, "ABNB", "SNAP", "SHOP", "PYPL", "ROKU", "RIVN", "LCID", "DKNG", "CVNA", "SMCI")
}

func forexUniverse() *universe {
	u := newUniverse(len(currencies) * len(currencies))
	for _, s := range forexMajors {
		u.add(s)
	}
	for _, base := range currencies {
		for _, quote := range currencies {
			if base != quote {
				u.add(base + "/" + quote)
			}
		}
	}
	return u
}

func cryptoUniverse() *universe {
	const count = 1000
	u := newUniverse(count)
	for _, quote := range []string{"USD", "EUR", "GBP", "BTC"} {
		for _, coin := range coins {
			if coin != quote {
				u.add(coin + "-" + quote)
			}
		}
	}
	for i := 0; len(u.symbols) < count; i++ {
		u.add(letters(i*48271%(26*26*26*26), 3+i%3) + "-USD")
	}
	return u
}

func indexUniverse() *universe {
	const count = 2000
	u := newUniverse(count)
	for _, s := range indexNames {
		u.add("I:" + s)
	}
	for i := 0; len(u.symbols) < count; i++ {
		u.add("I:" + letters(i*48271%(26*26*26*26), 4))
	}
	return u
}

func futuresUniverse(exchanges ...[]string) *universe {
	const months, years = "HMUZFGJKNQVX", "6789" // the quarterly months are the busy ones
	u := newUniverse(2048)
	for _, year := range years {
		for _, month := range months {
			for i := range 16 {
				for _, roots := range exchanges {
					if i < len(roots) {
						u.add(fmt.Sprintf("%s%c%c", roots[i], month, year))
					}
				}
			}
		}
	}
	return u
}
