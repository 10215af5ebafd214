package picture

import (
	"errors"
	"math"
	"sort"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/number"
)

// predictionFigure draws the expected relative loss against ln η.
func predictionFigure(q *fitting.Prediction) (*figure, error) {
	if !finite(math.Log(q.LR)) {
		return nil, errors.New("the prediction has no learning rate")
	}
	if !finite(q.Regret(q.LR * 1.1)) {
		return nil, errors.New("the prediction has no curvature: the cost of another learning rate is not known")
	}
	d := newRegret(q)
	title := "η*(" + number.Target(q.Target) + ") = " + number.Eta(q.LR, 3)
	if finite(math.Log(q.Low)) && finite(math.Log(q.High)) {
		title += "  " + number.EtaInterval(q.Low, q.High, 2)
	}
	return &figure{
		title: printable(title), width: 16, height: 11,
		draw: func(c draw.Canvas) {
			c = legend(c, d.legend())
			d.panel(c.Max.X-c.Min.X-vg.Points(55), c.Max.Y-c.Min.Y-vg.Points(40)).put(c)
		},
	}, nil
}

type regret struct {
	q    *fitting.Prediction
	laws []fitting.BesideLaw // in the picture, ascending η
	view
}

func newRegret(q *fitting.Prediction) *regret {
	d := &regret{q: q}
	x := math.Log(q.LR)
	lo, hi := x-0.8, x+0.8
	add := func(lr, reach float64) bool {
		v := math.Log(lr)
		if !finite(v) || math.Abs(v-x) > reach {
			return false
		}
		lo, hi = math.Min(lo, v), math.Max(hi, v)
		return true
	}
	for _, lr := range []float64{q.Band[0], q.Band[1], q.Low, q.High} {
		add(lr, 2.5)
	}
	if q.At > 0 {
		add(q.At, 3)
	}
	for _, b := range q.Beside {
		reach := 1.2 // a law that does not compare must not squeeze the picture
		if b.Comparable {
			reach = 2.2
		}
		if add(b.LR, reach) {
			d.laws = append(d.laws, b)
		}
	}
	sort.SliceStable(d.laws, func(i, j int) bool { return d.laws[i].LR < d.laws[j].LR })
	d.x0, d.x1 = padded(lo, hi, 0.06, 0.5)
	for _, v := range []float64{d.x0, d.x1} {
		if r := q.Regret(math.Exp(v)); finite(r) {
			d.y1 = math.Max(d.y1, r)
		}
	}
	if q.NearOptimal > 0 && d.y1 > 12*q.NearOptimal {
		d.y1 = 12 * q.NearOptimal
	}
	if r := 1.1 * q.AtRegret; q.At > 0 && finite(r) && r < 4*d.y1 {
		d.y1 = math.Max(d.y1, r)
	}
	if !(d.y1 > 0) {
		d.y1 = 0.01
	}
	d.y0 = -0.05 * d.y1
	return d
}

func (d *regret) panel(w, h vg.Length) *panel {
	p := newPanel(d.view, "", etaTitle, "expected loss above the best", false)
	p.X.Tick.Marker = logTicks(d.x0, d.x1, w, p.X.Tick.Label, false, number.Eta)
	p.Y.Tick.Marker = linearTicks(0, d.y1, h, p.Y.Tick.Label, 100, "%")
	p.Add(band(math.Log(d.q.Band[0]), math.Log(d.q.Band[1]), tint(green, 0.18)), drawing(grid))
	p.Add(curve(d.x0, d.x1, line(blue, 1.8), func(x float64) float64 { return d.q.Regret(math.Exp(x)) }))
	p.Add(drawing(d.tell), drawing(d.names), drawing(d.marks))
	return p
}

// tell says what η costs, along the curve and at the ends of the band.
func (d *regret) tell(c draw.Canvas, p *plot.Plot) {
	const steps = 40
	for i := range steps + 1 {
		d.cost(c, p, math.Exp(d.x0+(d.x1-d.x0)*float64(i)/steps))
	}
	for _, lr := range d.q.Band {
		d.cost(c, p, lr, "end of the band within "+number.Percent(d.q.NearOptimal))
	}
}

// cost says what an η costs, at its place on the curve or the edge of the picture.
func (d *regret) cost(c draw.Canvas, p *plot.Plot, lr float64, more ...string) {
	x, r := math.Log(lr), d.q.Regret(lr)
	if !finite(x) || !finite(r) {
		return
	}
	tx, ty := p.Transforms(&c)
	words := []string{"η " + number.Eta(lr, 3), "loss " + number.SignedPercent(r)}
	say(&c, vg.Point{X: tx(x), Y: clampY(c, ty(math.Min(r, p.Y.Max)))}, append(words, more...)...)
}

// names writes the published laws upright at their η, each in the first column
// of text that is free.
func (d *regret) names(c draw.Canvas, p *plot.Plot) {
	tx, _ := p.Transforms(&c)
	end := c.Min.X - vg.Points(20)
	for _, b := range d.laws {
		x := tx(math.Log(b.LR))
		col, text := ink, b.Name+" "+number.Eta(b.LR, 2)
		if !b.Comparable {
			col, text = grey, text+" (not comparable)"
		}
		c.StrokeLine2(line(col, 0.8, vg.Points(2), vg.Points(2)), x, c.Min.Y, x, c.Max.Y)
		st := textStyle(8, col, false)
		st.Rotation = math.Pi / 2
		st.XAlign, st.YAlign = draw.XRight, draw.YBottom
		at := x - vg.Points(2)
		if at-vg.Points(9) < end { // the other side of its line
			at, st.YAlign = x+vg.Points(2), draw.YTop
		}
		end = at
		c.FillText(st, vg.Point{X: at, Y: c.Max.Y - vg.Points(3)}, printable(text))
		more := printable(b.Name)
		if !b.Comparable {
			more += " (not comparable)"
		}
		d.cost(c, p, b.LR, more)
	}
}

// marks draws η* with its interval, and the η that was asked about.
func (d *regret) marks(c draw.Canvas, p *plot.Plot) {
	tx, ty := p.Transforms(&c)
	y := ty(0)
	lo, hi := math.Log(d.q.Low), math.Log(d.q.High)
	if finite(lo) && finite(hi) {
		a, b := clampX(c, tx(math.Max(lo, p.X.Min))), clampX(c, tx(math.Min(hi, p.X.Max)))
		st, end := line(vermilion, 2), vg.Points(3)
		c.StrokeLine2(st, a, y, b, y)
		c.StrokeLine2(st, a, y-end, a, y+end)
		c.StrokeLine2(st, b, y-end, b, y+end)
	}
	at := vg.Point{X: tx(math.Log(d.q.LR)), Y: y}
	star(&c, at, vg.Points(7), vermilion)
	say(&c, at, optimumWords(d.q)...)
	if x := math.Log(d.q.At); d.q.At > 0 && finite(d.q.AtRegret) && x >= p.X.Min && x <= p.X.Max {
		at := vg.Point{X: tx(x), Y: clampY(c, ty(math.Min(d.q.AtRegret, p.Y.Max)))}
		diamond(&c, at, vg.Points(5), purple)
		say(&c, at, "η "+number.Eta(d.q.At, 3), "loss "+number.SignedPercent(d.q.AtRegret), "asked about")
	}
}

// optimumWords say a prediction: η*, its interval, the target.
func optimumWords(q *fitting.Prediction) []string {
	words := []string{"η* = " + number.Eta(q.LR, 3)}
	if finite(math.Log(q.Low)) && finite(math.Log(q.High)) {
		words = append(words, number.EtaInterval(q.Low, q.High, 2))
	}
	return append(words, printable(number.Target(q.Target)))
}

func (d *regret) legend() []entry {
	out := []entry{
		{text: "expected loss", stroke: line(blue, 1.8)},
		{text: "η* and its interval", shape: star, col: vermilion},
	}
	if finite(math.Log(d.q.Band[0])) && finite(math.Log(d.q.Band[1])) {
		out = append(out, entry{
			text:  "within " + number.Percent(d.q.NearOptimal) + ": " + number.Eta(d.q.Band[0], 2) + " to " + number.Eta(d.q.Band[1], 2),
			patch: true, col: tint(green, 0.18),
		})
	}
	if d.q.At > 0 && finite(d.q.AtRegret) {
		out = append(out, entry{text: "at " + number.Eta(d.q.At, 3) + ": " + number.SignedPercent(d.q.AtRegret), shape: diamond, col: purple})
	}
	return out
}
