package jsonscan_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tickstorm/tickstorm/internal/jsonscan"
)

func TestIsNumber(t *testing.T) {
	for _, s := range []string{
		"0", "-0", "7", "-7", "10", "0.5", "-0.5", "1.50", "1e5", "1E5", "1e+5", "1e-5", "0e0", "0.0e00",
		"123456789012345678901234567890", "0.000000000000000000000000001", "12345678.12345678e12345678",
	} {
		require.True(t, jsonscan.IsNumber([]byte(s)), s)
	}
	for _, s := range []string{
		"", "-", "+", "+1", "01", "-01", "00", "1.", ".5", "-.5", "1.e5", "1e", "1e+", "1e-", "e5", "1e5.0", "1.5.5", "--1",
		"0x1", "1_0", "Inf", "NaN", "infinity", " 1", "1 ", "1,", "1a", "١", "1e5e5", "\"1\"",
	} {
		require.False(t, jsonscan.IsNumber([]byte(s)), s)
	}
}

// checkFloat compares Float with strconv without the cost of require, which
// millions of tokens would feel.
func checkFloat(t *testing.T, tok string) {
	want, err := strconv.ParseFloat(tok, 64)
	got, ok := jsonscan.Float([]byte(tok))
	if ok != (err == nil) || math.Float64bits(got) != math.Float64bits(want) {
		t.Helper()
		require.Failf(t, "not as strconv", "%.200s: got %v %v, want %v %v", tok, got, ok, want, err)
	}
}

func TestFloatTable(t *testing.T) {
	const half = "00000000000000011102230246251565404236316680908203125" // 1+2^-53 is 1. and these
	tests := []struct{ name, tok string }{
		{"zero", "0"},
		{"minus zero", "-0"},
		{"minus zero with a point", "-0.0"},
		{"minus zero with an exponent", "-0e5"},
		{"zero with a huge exponent", "0e999999999999"},
		{"long minus zero", "-0.00000000000000000000000000000000000000000000000"},
		{"price", "225.62"},
		{"small price", "0.0001"},
		{"exponent of the feed", "3.39566313e+08"},
		{"small exponent of the feed", "9.5e-05"},
		{"2^53", "9007199254740992"},
		{"2^53+1", "9007199254740993"},
		{"2^53 hundredths", "90071992547409.92"},
		{"2^53+1 hundredths", "90071992547409.93"},
		{"19 digits", "1234567890123456789"},
		{"20 digits", "12345678901234567890"},
		{"19 fraction digits", "0.1234567890123456789"},
		{"power 22", "1e22"},
		{"power 23", "1e23"},
		{"power -22", "1e-22"},
		{"power -23", "1e-23"},
		{"mantissa times power 22", "9007199254740992e22"},
		{"trailing zeros", "225.6200000000000000000000000000000000000000000000"},
		{"leading zeros", "0.0000000000000000000000000000000000000000000022562"},
		{"largest", "1.7976931348623157e308"},
		{"largest, negative", "-1.7976931348623157e308"},
		{"rounds to the largest", "1.7976931348623158e308"},
		{"just out of range", "1.7976931348623159e308"},
		{"out of range", "1e309"},
		{"far out of range", "-1e999999999999999999999999"},
		{"many digits out of range", strings.Repeat("9", 400)},
		{"many digits brought back", strings.Repeat("9", 400) + "e-395"},
		{"largest, in digits", strconv.FormatFloat(math.MaxFloat64, 'f', -1, 64)},
		{"2^1024-2^970, the first that rounds up", "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880"},
		{"smallest", "5e-324"},
		{"rounds to the smallest", "2.4703282292062328e-324"},
		{"rounds to zero", "2.4703282292062327e-324"},
		{"half of the smallest", "2.470328229206232720882843964341106861825299013071623822127928412503377536351043e-324"},
		{"below the smallest", "1e-325"},
		{"far below the smallest", "-1e-999999999999999999999999"},
		{"largest subnormal", "2.225073858507201e-308"},
		{"smallest normal", "2.2250738585072014e-308"},
		{"famous", "2.2250738585072011e-308"},
		{"halfway, to even", "1." + half},
		{"halfway and a little", "1." + half + "0000000000000000000000000000000000001"},
		{"a little below halfway", "1.00000000000000011102230246251565404236316680908203124999999999999999999999999999"},
		{"halfway between integers", "9007199254740993.00000000000000000000000000000000000000"},
		{"halfway between integers and a little", "9007199254740993.00000000000000000000000000000000000001"},
		{"halfway beyond 800 digits", "1." + half + strings.Repeat("0", 800) + "1"},
		{"capital", "1.5E3"},
		{"zeros in the exponent", "1.5e+0000000003"},
		{"32 bytes", "0.123456789012345678901234567890"},
		{"33 bytes", "0.1234567890123456789012345678901"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.True(t, jsonscan.IsNumber([]byte(tt.tok)))
			checkFloat(t, tt.tok)
		})
	}
}

// Here strconv gives up counting, and Float does not.
func TestFloatBeyondStrconv(t *testing.T) {
	// 2^53+1 lies halfway between two floats.
	const middle = "9007199254740993"
	zeros := func(n int) string { return strings.Repeat("0", n) }
	tests := []struct {
		name, tok string
		want      float64
	}{
		{"zeros brought back from above", "1" + zeros(20_000) + "e-20000", 1},
		{"zeros brought back from below", "0." + zeros(20_000) + "1e20001", 1},
		{"exponent of six digits", "0." + zeros(200_000) + "12e200002", 12},
		{"exponent of six digits, from above", "-12" + zeros(200_000) + "e-200001", -1.2},
		{"halfway", middle + zeros(2000) + "e-2000", 9007199254740992},
		{"halfway and a little", middle + zeros(2000) + "1e-2001", 9007199254740994},
		{"halfway and a little behind the point", middle + zeros(900) + "." + zeros(900) + "1e-900", 9007199254740994},
		{"a little below halfway", "9007199254740992" + strings.Repeat("9", 2000) + "e-2000", 9007199254740992},
		{"far from zero all the same", "1" + zeros(20_000) + "e-19000", math.Inf(1)},
		{"zero all the same", "-1" + zeros(19_000) + "e-20000", math.Copysign(0, -1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, ok := jsonscan.Float([]byte(tt.tok))
			require.Equal(t, !math.IsInf(tt.want, 0), ok)
			require.Equal(t, math.Float64bits(tt.want), math.Float64bits(f), "got %v", f)
		})
	}
}

// randomNumber writes a decimal number of a random form, with digits that are
// often 0 or 9.
func randomNumber(rnd *rand.Rand, dst []byte, maxDigits, maxExp int) []byte {
	if rnd.IntN(3) == 0 {
		dst = append(dst, '-')
	}
	digit := func() byte {
		switch rnd.IntN(6) {
		case 0:
			return '0'
		case 1:
			return '9'
		}
		return byte('0' + rnd.IntN(10))
	}
	if n := rnd.IntN(maxDigits); n == 0 {
		dst = append(dst, '0')
	} else {
		dst = append(dst, byte('1'+rnd.IntN(9)))
		for range n - 1 {
			dst = append(dst, digit())
		}
	}
	if rnd.IntN(2) == 0 {
		dst = append(dst, '.')
		for range 1 + rnd.IntN(maxDigits) {
			dst = append(dst, digit())
		}
	}
	if rnd.IntN(3) == 0 {
		dst = append(dst, "eE"[rnd.IntN(2)])
		dst = append(dst, []string{"", "+", "-"}[rnd.IntN(3)]...)
		dst = strconv.AppendInt(dst, int64(rnd.IntN(maxExp)), 10)
	}
	return dst
}

func TestFloatRandom(t *testing.T) {
	rounds := 1_000_000
	if testing.Short() || raceEnabled {
		rounds = 50_000
	}
	rnd := rand.New(rand.NewPCG(7, 8))
	buf := make([]byte, 0, 512)
	for range rounds {
		if f := math.Float64frombits(rnd.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) {
			checkFloat(t, string(strconv.AppendFloat(buf[:0], f, 'g', -1, 64)))
		}
		f := math.Ldexp(float64(rnd.Uint64()>>(rnd.UintN(64))), rnd.IntN(80)-60)
		checkFloat(t, string(strconv.AppendFloat(buf[:0], f, 'f', -1, 64)))
		checkFloat(t, string(randomNumber(rnd, buf[:0], 12, 30)))
		checkFloat(t, string(randomNumber(rnd, buf[:0], 30, 350)))
	}
	for range rounds / 20 {
		checkFloat(t, string(randomNumber(rnd, buf[:0], 400, 800)))

		// The middle of two floats, and its neighbours in the last digit.
		f := math.Ldexp(1+rnd.Float64(), rnd.IntN(120)-60)
		middle := new(big.Float).SetPrec(54).SetFloat64(f)
		middle.Add(middle, new(big.Float).SetFloat64((math.Nextafter(f, math.Inf(1))-f)/2))
		tok := middle.Append(buf[:0], 'f', 150)
		checkFloat(t, string(tok))
		tok[len(tok)-1]++
		checkFloat(t, string(tok))
		for i := len(tok) - 1; i >= 0 && tok[i] != '.'; i-- {
			if tok[i] > '1' || tok[i] == '1' && i < len(tok)-1 {
				tok[i]--
				checkFloat(t, string(tok))
				break
			}
		}
	}
}

// integerOf is the oracle of Int.
func integerOf(tok string) (int64, bool) {
	r, ok := new(big.Rat).SetString(tok)
	if !ok || !r.IsInt() || !r.Num().IsInt64() {
		return 0, false
	}
	return r.Num().Int64(), true
}

func TestIntTable(t *testing.T) {
	tests := []struct {
		name, tok string
		want      int64
		ok        bool
	}{
		{"zero", "0", 0, true},
		{"minus zero", "-0", 0, true},
		{"minus zero with a point", "-0.0", 0, true},
		{"digits", "604", 604, true},
		{"negative", "-604", -604, true},
		{"milliseconds", "1786649956446", 1786649956446, true},
		{"nanoseconds", "1786649956446123456", 1786649956446123456, true},
		{"18 digits", "999999999999999999", 999999999999999999, true},
		{"19 digits", "1000000000000000000", 1000000000000000000, true},
		{"largest", "9223372036854775807", math.MaxInt64, true},
		{"largest and one", "9223372036854775808", 0, false},
		{"smallest", "-9223372036854775808", math.MinInt64, true},
		{"smallest less one", "-9223372036854775809", 0, false},
		{"largest with a point", "9223372036854775807.000", math.MaxInt64, true},
		{"largest with an exponent", "9.223372036854775807e18", math.MaxInt64, true},
		{"smallest with an exponent", "-9223372036854775.808e3", math.MinInt64, true},
		{"2^64-1", "18446744073709551615", 0, false},
		{"2^64", "18446744073709551616", 0, false},
		{"2^64 and some", "18446744073709551716", 0, false},
		{"point and zero", "12.0", 12, true},
		{"fraction", "12.5", 0, false},
		{"fraction below 1", "0.1", 0, false},
		{"exponent", "3.39566313e+08", 339566313, true},
		{"exponent leaves a fraction", "3.39566313e+07", 0, false},
		{"large exponent", "1.7e18", 1700000000000000000, true},
		{"too large an exponent", "1e19", 0, false},
		{"negative exponent", "120e-1", 12, true},
		{"negative exponent leaves a fraction", "125e-1", 0, false},
		{"capital", "1.2E1", 12, true},
		{"zero with a huge exponent", "0e999", 0, true},
		{"zero with a huger exponent", "-0.00e-999999999999999999999", 0, true},
		{"huge exponent", "1e999999999999", 0, false},
		{"huger exponent", "1e99999999999999999999999999999999999", 0, false},
		{"exponent beyond 2^64", "1e18446744073709551616", 0, false},
		{"huge negative exponent", "10e-999999999999", 0, false},
		{"exponent beyond -2^64", "1e-18446744073709551616", 0, false},
		{"many zeros behind the point", "7." + strings.Repeat("0", 5000), 7, true},
		{"many zeros and a one", "7." + strings.Repeat("0", 5000) + "1", 0, false},
		{"many zeros brought back", "7" + strings.Repeat("0", 200_000) + "e-200000", 7, true},
		{"many zeros brought back too far", "7" + strings.Repeat("0", 200_000) + "e-200001", 0, false},
		{"many leading zeros brought back", "0." + strings.Repeat("0", 200_000) + "75e200002", 75, true},
		{"zeros in the exponent", "1e" + strings.Repeat("0", 5000) + "2", 100, true},
		{"nothing", "", 0, false},
		{"minus alone", "-", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, ok := jsonscan.Int([]byte(tt.tok))
			require.Equal(t, tt.ok, ok)
			if ok {
				require.Equal(t, tt.want, v)
			}
			if len(tt.tok) < 30 && !strings.Contains(tt.tok, "e99999") && !strings.Contains(tt.tok, "999999") {
				want, wantOK := integerOf(tt.tok)
				require.Equal(t, wantOK, ok, "the table itself is wrong")
				require.Equal(t, want, tt.want)
			}
		})
	}
}

func TestIntRandom(t *testing.T) {
	rounds := 200_000
	if testing.Short() || raceEnabled {
		rounds = 20_000
	}
	rnd := rand.New(rand.NewPCG(9, 10))
	check := func(tok string) {
		want, wantOK := integerOf(tok)
		if v, ok := jsonscan.Int([]byte(tok)); v != want && ok || ok != wantOK {
			require.Failf(t, "not as math/big", "%s: got %d %v, want %d %v", tok, v, ok, want, wantOK)
		}
	}
	integral := 0
	for range rounds {
		check(string(randomNumber(rnd, nil, 22, 25)))

		// An integer in disguise: the point moves left, the exponent makes up for it.
		v := int64(rnd.Uint64()) >> rnd.IntN(64)
		digits := strconv.FormatInt(v, 10)
		check(digits)
		sign := ""
		if v < 0 {
			sign, digits = "-", digits[1:]
		}
		if at := rnd.IntN(len(digits)); at > 0 {
			tok := sign + digits[:at] + "." + digits[at:] + "e" + strconv.Itoa(len(digits)-at)
			check(tok)
			got, ok := jsonscan.Int([]byte(tok))
			require.True(t, ok)
			require.Equal(t, v, got)
			integral++
		}
	}
	require.Greater(t, integral, rounds/2)
}
