package diagnosis

import (
	"bytes"
	"strconv"
	"strings"
)

// statuses are the HTTP statuses that count as circumstances.
var statuses = []int{400, 401, 403, 404, 429, 500, 502, 503, 504}

// foundCode is a code of the sign-in service in the text.
type foundCode struct {
	number int
	at     int32 // word, the last place
	known  bool
	bare   bool // a number without the AADSTS and without a key before it
}

// What stands near a number and says what it is.
var (
	codeKeys = wordSet(`code codes errorcode errorcodes error_code error_codes errorno error errornumber
		aadstscode resulttype errornum errcode sts_error_code stserrorcode status_code`)
	beforeStatus = wordSet(`http status statuscode status_code httpstatus httpstatuscode http_status code error
		response responded returned answered received respcode resultcode server
		fehler zurückgegeben erreur distant remoto errore erro fout geretourneerd サーバーがエラーを返しました`)
	afterStatus = wordSet(`unauthorized unauthorised forbidden bad not too service internal client server error
		gateway throttled toomanyrequests status
		unzulässig verboten interdit prohibido proibido nicht non`)
)

func wordSet(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

// numbers finds the sign-in service's codes and HTTP statuses.
func (k *knowledge) numbers(r *reading) {
	for i, w := range r.words {
		text := r.text(w)
		switch {
		case text[0] == 'a' && len(text) >= 5:
			if rest, ok := afterAADSTS(text); ok {
				k.codeAfter(r, i, rest)
			}
		case '4' <= text[0] && text[0] <= '5' && len(text) == 3:
			k.status(r, i, text)
		case '1' <= text[0] && text[0] <= '9' && len(text) >= 5 && len(text) <= 7:
			if n, ok := number(text); ok && k.knows(n) {
				r.addCode(foundCode{number: n, at: int32(i), known: true, bare: !keyBefore(r, i)})
			}
		}
	}
}

// afterAADSTS gives what stands behind AADSTS in a word, also where the letters
// were misread or one was lost.
func afterAADSTS(w []byte) ([]byte, bool) {
	if bytes.HasPrefix(w, []byte("adsts")) {
		return w[4:], true
	}
	if w[1] != 'a' || w[2] != 'd' && w[2] != 'o' && w[2] != '0' || w[3] != 's' && w[3] != '5' || w[4] != 't' {
		return nil, false
	}
	return w[5:], true
}

// codeAfter reads the number behind AADST: in the rest of word i, with or
// without the last letter, in the next word, or broken over two lines.
func (k *knowledge) codeAfter(r *reading, i int, rest []byte) {
	tries := [][]byte{rest}
	if len(rest) > 0 && (rest[0] == 's' || rest[0] == '5') {
		tries = [][]byte{rest[1:], rest}
	}
	unknown := 0
	for _, digits := range tries {
		next := i + 1
		if len(digits) == 0 && next < len(r.words) { // AADSTS: 50126
			digits = r.text(r.words[next])
			next++
		}
		if next < len(r.words) && r.words[next].newLine {
			joined := r.buf[int(r.words[next-1].end)-len(digits) : r.words[next].end]
			if n, ok := number(joined); ok && k.knows(n) {
				r.addCode(foundCode{number: n, at: int32(i), known: true})
				return
			}
		}
		for _, n := range codeNumbers(digits) {
			if k.knows(n) {
				r.addCode(foundCode{number: n, at: int32(i), known: true})
				return
			}
			if unknown == 0 && n >= 10000 {
				unknown = n
			}
		}
	}
	if unknown != 0 {
		r.addCode(foundCode{number: unknown, at: int32(i)})
	}
}

func (k *knowledge) knows(code int) bool {
	_, ok := k.codes[code]
	return ok
}

// maxCodes is how many different codes of one text count.
const maxCodes = 64

// addCode notes a code, each once, at its last place.
func (r *reading) addCode(c foundCode) {
	for i := range r.codes {
		if o := &r.codes[i]; o.number == c.number {
			o.at, o.bare = c.at, o.bare && c.bare
			return
		}
	}
	if len(r.codes) < maxCodes {
		r.codes = append(r.codes, c)
	}
}

// codeNumbers reads the number at the start of w: the plain digits first, then
// with misread letters as the digits they look like.
func codeNumbers(w []byte) []int {
	var out []int
	n := 0
	for n < len(w) && n < 8 && '0' <= w[n] && w[n] <= '9' {
		n++
	}
	if v, err := strconv.Atoi(string(w[:n])); err == nil {
		out = append(out, v)
	}
	var repaired []byte
	for _, c := range w {
		switch c {
		case 'o':
			c = '0'
		case 'l', 'i':
			c = '1'
		case 's':
			c = '5'
		case 'b':
			c = '8'
		case 'z':
			c = '2'
		}
		if c < '0' || c > '9' || len(repaired) == 8 {
			break
		}
		repaired = append(repaired, c)
	}
	if v, err := strconv.Atoi(string(repaired)); err == nil && len(repaired) != n {
		out = append(out, v)
	}
	return out
}

// number reads w as a whole number of at most nine digits.
func number(w []byte) (int, bool) {
	if len(w) == 0 || len(w) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range w {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// keyBefore reports whether one of the few words before word i says that a code
// follows, or the text is no more than the number.
func keyBefore(r *reading, i int) bool {
	for j := max(0, i-3); j < i; j++ {
		if codeKeys[string(r.text(r.words[j]))] {
			return true
		}
	}
	return len(r.words) <= 2
}

// status takes an HTTP status for one if its neighbours make it one.
func (k *knowledge) status(r *reading, i int, text []byte) {
	bit, ok := k.contexts[string(text)]
	if !ok {
		return
	}
	near := len(r.words) <= 2
	for j := max(0, i-3); j < i && !near; j++ {
		near = beforeStatus[string(r.text(r.words[j]))]
	}
	if !near && i+1 < len(r.words) {
		near = afterStatus[string(r.text(r.words[i+1]))]
	}
	if near {
		r.contexts |= 1 << bit
	}
}
