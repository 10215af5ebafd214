package data

import (
	"math"
	"math/rand/v2"
	"sort"
	"strings"
)

// DefaultSyntheticBytes is the size of the synthetic corpus when none is asked for.
const DefaultSyntheticBytes = 4 << 20

// Synthetic writes n bytes of a made-up language, the same for the same seed. It is not
// real text. It has what makes a language model's loss fall in stages:
//
//   - a lexicon with Zipfian frequencies (the r-th word about as 1/r), spelled from
//     syllables, so that there is something to learn in letters and in words;
//   - phrases: article, adjectives, noun, verb, object, prepositional phrases;
//   - agreement over a distance: a noun's class (its ending) decides article, adjective
//     endings and, after a clause in between, the ending of its verb;
//   - paragraphs about one thing: a name drawn at their start returns in them, and the
//     words of its topic are more frequent.
//
// A shorter corpus is a prefix of a longer one.
func Synthetic(seed uint64, n int64) []byte {
	g := newGrammar(seed)
	var b strings.Builder
	b.Grow(int(n) + 1024)
	for int64(b.Len()) < n {
		g.paragraph(&b)
	}
	return []byte(b.String()[:n])
}

type grammar struct {
	r                                 *rand.Rand
	nouns, verbs, adjectives, adverbs lexicon
	names                             []string
	topic                             int
}

// lexicon draws words with Zipfian frequencies.
type lexicon struct {
	words      []string
	cumulative []float64
}

const topics = 8

func newGrammar(seed uint64) *grammar {
	g := &grammar{r: rand.New(rand.NewPCG(seed, 0x65746173746172))}
	seen := map[string]bool{}
	g.nouns = g.lexicon(1200, seen)
	g.verbs = g.lexicon(500, seen)
	g.adjectives = g.lexicon(400, seen)
	g.adverbs = g.lexicon(120, seen)
	for range 200 {
		w := g.word(seen, 300)
		g.names = append(g.names, strings.ToUpper(w[:1])+w[1:])
	}
	return g
}

func (g *grammar) lexicon(n int, seen map[string]bool) lexicon {
	var l lexicon
	total := 0.
	for i := range n {
		l.words = append(l.words, g.word(seen, i))
		total += 1 / math.Pow(float64(i)+2.7, 1.05) // Zipf–Mandelbrot
		l.cumulative = append(l.cumulative, total)
	}
	return l
}

var (
	onsets = strings.Fields("b br d dr f g gl h k kr l m n p pl r s st t tr v w z sh")
	vowels = strings.Fields("a e i o u ai ea ou")
	codas  = []string{"", "", "", "n", "r", "l", "s", "t", "m", "nd"}
)

// word makes a word that was not there before. The frequent ones, of low rank, are short.
func (g *grammar) word(seen map[string]bool, rank int) string {
	for try := 0; ; try++ {
		var b strings.Builder
		for range 1 + g.r.IntN(2)*min(1, rank/20) + min(1, rank/400) + try/20 {
			b.WriteString(onsets[g.r.IntN(len(onsets))])
			b.WriteString(vowels[g.r.IntN(len(vowels))])
			b.WriteString(codas[g.r.IntN(len(codas))])
		}
		if w := b.String(); !seen[w] {
			seen[w] = true
			return w
		}
	}
}

// draw picks a word; half the time it is one of the paragraph's topic.
func (g *grammar) draw(l lexicon) string {
	n := len(l.words)
	i := min(n-1, sort.SearchFloat64s(l.cumulative, g.r.Float64()*l.cumulative[n-1]))
	if g.r.IntN(2) == 0 {
		i = min(n-1, i/topics*topics+g.topic)
	}
	return l.words[i]
}

// Endings by class of noun, singular and plural.
var (
	articles   = [3][2]string{{"te", "ten"}, {"la", "las"}, {"os", "ose"}}
	nounEnds   = [3][2]string{{"", "en"}, {"a", "as"}, {"um", "i"}}
	adjectives = [3][2]string{{"e", "en"}, {"a", "as"}, {"us", "i"}}
	verbEnds   = [3][2]string{{"t", "nt"}, {"d", "nd"}, {"k", "nk"}}
)

type noun struct{ class, number int }

func (g *grammar) nounPhrase(b *strings.Builder, depth int) noun {
	stem := g.draw(g.nouns)
	c := noun{class: int(stem[0]+stem[len(stem)-1]) % 3, number: min(1, g.r.IntN(3)/2)}
	b.WriteString(articles[c.class][c.number])
	for g.r.IntN(3) == 0 {
		b.WriteString(" " + g.draw(g.adjectives) + adjectives[c.class][c.number])
	}
	b.WriteString(" " + stem + nounEnds[c.class][c.number])
	switch k := g.r.IntN(8); {
	case depth < 2 && k == 0: // a clause between the noun and what agrees with it
		b.WriteString(", ke ")
		g.verb(b, c)
		b.WriteString(" ")
		g.nounPhrase(b, depth+1)
		if !strings.HasSuffix(b.String(), ",") {
			b.WriteString(",")
		}
	case depth < 2 && k < 3:
		b.WriteString([]string{" of ", " in ", " sub "}[g.r.IntN(3)])
		g.nounPhrase(b, depth+1)
	}
	return c
}

func (g *grammar) verb(b *strings.Builder, c noun) {
	b.WriteString(g.draw(g.verbs) + "a" + verbEnds[c.class][c.number])
}

func (g *grammar) paragraph(b *strings.Builder) {
	g.topic = g.r.IntN(topics)
	name := g.names[g.r.IntN(len(g.names))]
	for range 3 + g.r.IntN(6) {
		var s strings.Builder
		if g.r.IntN(3) == 0 {
			s.WriteString(name + " ")
			g.verb(&s, noun{})
		} else {
			c := g.nounPhrase(&s, 0)
			s.WriteString(" ")
			g.verb(&s, c)
		}
		if g.r.IntN(4) == 0 {
			s.WriteString(" " + g.draw(g.adverbs) + "li")
		}
		switch g.r.IntN(4) {
		case 0:
			s.WriteString(" " + name)
		case 1, 2:
			s.WriteString(" ")
			g.nounPhrase(&s, 0)
		}
		t := strings.TrimSuffix(s.String(), ",")
		b.WriteString(strings.ToUpper(t[:1]) + t[1:] + ". ")
	}
	b.WriteString("\n\n")
}
