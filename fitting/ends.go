package fitting

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

// EndLaw is how a loss curve is continued.
type EndLaw string

// Laws of a loss curve. S₁ is the sum of the learning rates so far, s the step.
const (
	// EndPower is L = L₀ + A·s^−α, for a learning rate that stays as it is.
	EndPower EndLaw = "power"
	// EndAnnealing is L = L₀ + A·S₁^−α − C·S₂ with S₂ = Σᵢ Σ_{k≤i} (η_{k−1} − η_k)·λ^{i−k},
	// arXiv 2408.11029, eq. 1.
	EndAnnealing EndLaw = "annealing"
	// EndMultiPower is L = L₀ + A·S₁^−α − B·Σ_k (η_{k−1} − η_k)·G(η_k^−γ·S_k(t)), G(x) = 1 − (1 + C·x)^−β,
	// arXiv 2503.12811, eq. 5, with β and γ as fitted there and C free.
	EndMultiPower EndLaw = "multi-power"
)

// EndLaws are the laws there are.
var EndLaws = []EndLaw{EndPower, EndAnnealing, EndMultiPower}

// The shape of the multi-power law's drop, means of the fits at 25M, 100M and 400M
// parameters: arXiv 2503.12811, table of fitted parameters.
const (
	multiBeta  = (0.58279 + 0.59786 + 0.59351) / 3
	multiGamma = (0.64142 + 0.65524 + 0.63472) / 3
)

// LossCurve is what one run logged, in the order of steps.
type LossCurve struct {
	Step []float64 // from 1, increasing
	Loss []float64 // finite
}

// EndOptions says how to continue a curve.
type EndOptions struct {
	End float64 // the last step that the run was to take
	Law EndLaw  // "": EndAnnealing where the schedule decays, else EndPower
	// LR is η at a step, 1 to End; nil: unknown, and EndPower the only law.
	LR func(step float64) float64
	// Drop is what the decay of the learning rate took off the loss of finished runs
	// of the same schedule, and DropSE its standard deviation among them. It is used
	// where the curve ends before its own decay began; 0: not known.
	Drop, DropSE float64
	Level        float64 // of the interval; 0: 95%
}

// End is the predicted end of a loss curve. It is the mean that the logged losses
// scatter around, not a single one of them.
type End struct {
	Loss      float64
	Low, High float64
	Level     float64
	Law       EndLaw
	Seen      float64 // share of the steps that the curve covers
	Noise     float64 // standard deviation of one logged value around the law
	Drop      float64 // what the decay takes off by the end, by the law
	// L0, A and Alpha are of L₀ + A·x^−α with x the step, or S₁ where η is known.
	L0, A, Alpha float64
	Warnings     []string
}

// Errors of PredictEnd.
var (
	ErrShortCurve = errors.New("the curve is too short to continue: it takes 12 logged losses after the warm-up")
	ErrRising     = errors.New("the loss rises towards the end of what was logged: no law of a run that converges continues it")
	ErrMisfit     = errors.New("the laws do not fit the curve: the end they give is below 0 or above what was reached")
	ErrNoDecay    = errors.New("the curve ends before its learning rate decays, and no finished run says what the decay takes off")
)

const (
	minEndPoints = 12
	maxEndPoints = 200
	// Steps before this share of the curve are of the warm-up's aftermath.
	endBurnIn = 0.1
	// minDropSeen is the share of the decay's work, by the law, that a curve has to
	// show before it says how much the rest will be.
	minDropSeen = 0.1
)

// PredictEnd continues a curve to its end. The interval is that of the noise of the
// fit and of the choice of where the fit begins, whichever part of the curve it is
// fitted to; it is wide where the curve is short.
func PredictEnd(c LossCurve, o EndOptions) (*End, error) {
	if len(c.Step) != len(c.Loss) {
		return nil, fmt.Errorf("a curve of %d steps has %d losses", len(c.Step), len(c.Loss))
	}
	for i := range c.Step {
		if !(c.Step[i] > 0) || math.IsNaN(c.Loss[i]) || math.IsInf(c.Loss[i], 0) || i > 0 && c.Step[i] <= c.Step[i-1] {
			return nil, fmt.Errorf("step %v: steps increase from 1 and losses are finite", c.Step[i])
		}
	}
	if len(c.Step) == 0 {
		return nil, ErrShortCurve
	}
	last := c.Step[len(c.Step)-1]
	if !(o.End >= last) || math.IsInf(o.End, 0) {
		return nil, fmt.Errorf("the end, step %v, comes before the last one logged, %v", o.End, last)
	}
	if o.Level == 0 {
		o.Level = 0.95
	}
	f := newEndFit(c, o)
	if f.rising() {
		return nil, ErrRising
	}
	if o.LR != nil && !(f.x(f.last) > 1e-300 && !math.IsInf(f.x(o.End), 0)) {
		return nil, errors.New("the schedule has no learning rate above 0 before the last step logged")
	}
	if f.law != EndPower && f.dropEnd > 0 && f.dropSeen < minDropSeen*f.dropEnd {
		// Too little of the decay was seen: what it brings is not in this curve.
		if !(o.Drop > 0) {
			return nil, ErrNoDecay
		}
		f.borrowed = true
	}
	return f.predict()
}

// endFit is a curve made ready for fitting.
type endFit struct {
	o        EndOptions
	law      EndLaw
	last     float64
	step     []float64 // means of neighbours, at most maxEndPoints
	loss     []float64
	weight   []float64 // logged values in each
	x        func(step float64) float64
	drop     func(step, c float64) float64 // of the decay, to be scaled; nil for EndPower
	shapes   []float64                     // what c may be
	dropSeen float64
	dropEnd  float64
	borrowed bool
	warmup   float64
	logged   int
}

func newEndFit(c LossCurve, o EndOptions) *endFit {
	f := &endFit{o: o, law: o.Law, last: c.Step[len(c.Step)-1], logged: len(c.Step)}
	if o.LR == nil {
		f.law = EndPower
		f.x = func(s float64) float64 { return s }
	} else {
		s := newScheduleSums(o.LR, o.End)
		f.warmup = s.peakAt
		if f.law == "" {
			f.law = EndPower
			if s.decays {
				f.law = EndAnnealing
			}
		}
		f.x = s.area
		switch f.law {
		case EndAnnealing:
			f.drop, f.shapes = s.annealed, []float64{0.99, 0.995, 0.999}
		case EndMultiPower:
			f.drop, f.shapes = s.multiPower, []float64{0.5, 1, 2, 4}
		}
		if f.drop != nil {
			middle := f.shapes[len(f.shapes)/2]
			f.dropSeen, f.dropEnd = f.drop(f.last, middle), f.drop(o.End, middle)
		}
	}
	// Neighbours are averaged in equal stretches of steps.
	width := f.last / maxEndPoints
	for i := 0; i < len(c.Step); {
		k, sum, at := i, 0.0, 0.0
		for k < len(c.Step) && (k == i || c.Step[k] < c.Step[i]+width) {
			sum, at = sum+c.Loss[k], at+c.Step[k]
			k++
		}
		n := float64(k - i)
		f.step, f.loss, f.weight = append(f.step, at/n), append(f.loss, sum/n), append(f.weight, n)
		i = k
	}
	return f
}

// rising reports whether the last tenth lies above the middle by more than its noise.
func (f *endFit) rising() bool {
	n := len(f.loss)
	if n < minEndPoints {
		return false
	}
	part := func(from, to int) (mean, se float64) {
		for _, v := range f.loss[from:to] {
			mean += v / float64(to-from)
		}
		for _, v := range f.loss[from:to] {
			se += square(v - mean)
		}
		return mean, math.Sqrt(se) / float64(to-from)
	}
	tenth := max(3, n/10)
	middle, a := part(n/2-tenth/2, n/2-tenth/2+tenth)
	end, b := part(n-tenth, n)
	return end-middle > 3*math.Hypot(a, b)+1e-3*math.Abs(middle)
}

// endCandidate is one fit.
type endCandidate struct {
	alpha, shape float64
	beta         [3]float64 // L₀, A and the drop's factor
	cost         float64
	end, se      float64
	noise        float64
	inflation    float64
	drop         float64
	now          float64 // by the law at the last step logged
}

func (f *endFit) predict() (*End, error) {
	var ends []endCandidate
	from := max(endBurnIn*f.last, 1.5*f.warmup)
	if from > 0.6*f.last {
		from = endBurnIn * f.last
	}
	// Where the fit begins is a choice as the window of a curve is: its part in the
	// uncertainty is what it changes.
	for _, share := range []float64{0, 0.15, 0.3, 0.45} {
		if c, ok := f.fit(from + share*(f.last-from)); ok {
			ends = append(ends, c)
		}
	}
	if len(ends) == 0 {
		return nil, ErrShortCurve
	}
	best := ends[0]
	if math.IsNaN(best.end) || math.IsInf(best.end, 0) {
		return nil, errors.New("the curve cannot be continued: its numbers are too large")
	}
	if best.end < 0 || best.end > best.now+2*best.noise {
		return nil, ErrMisfit
	}
	var spread float64
	for _, c := range ends[1:] {
		spread = max(spread, math.Abs(c.end-best.end))
	}
	e := &End{
		Loss: best.end, Level: f.o.Level, Law: f.law, Seen: f.last / f.o.End, Noise: best.noise, Drop: best.drop,
		L0: best.beta[0], A: best.beta[1], Alpha: best.alpha,
	}
	// The laws are not exact either: their authors report 0.2% and more (arXiv
	// 2408.11029, 2503.12811), the more the further they go.
	model := 0.003 * e.Loss * math.Log(f.o.End/f.last) / math.Ln2
	// The two laws of the decay differ by about a third in what it still brings.
	unseen := 0.0
	if f.drop != nil && !f.borrowed {
		unseen = 0.3 * best.drop * (1 - f.dropSeen/f.dropEnd)
	}
	se := math.Sqrt(square(best.se) + square(spread) + square(model) + square(unseen))
	if f.borrowed {
		se = math.Hypot(se, f.o.DropSE)
		e.Warnings = append(e.Warnings, "what the decay takes off is that of other runs")
	}
	z := distuv.UnitNormal.Quantile(0.5 + f.o.Level/2)
	e.Low, e.High = e.Loss-z*se, e.Loss+z*se
	if e.Seen < 0.3 {
		e.Warnings = append(e.Warnings, fmt.Sprintf("only %s of the steps were seen", FormatPercent(e.Seen)))
	}
	if best.alpha <= endAlphas[0]*1.001 || best.alpha >= endAlphas[len(endAlphas)-1]*0.999 {
		e.Warnings = append(e.Warnings, "the exponent is at the edge of what was tried")
	}
	if f.o.LR == nil {
		e.Warnings = append(e.Warnings, "the learning rate's schedule is not known: a decay that comes is not counted")
	}
	return e, nil
}

// endAlphas are the exponents tried, evenly in ln α.
var endAlphas = func() []float64 {
	const low, high, n = 0.1, 1.5, 28
	out := make([]float64, n)
	for i := range out {
		out[i] = low * math.Pow(high/low, float64(i)/(n-1))
	}
	return out
}()

// Exponents of the stable phase that were published lie around a half: 0.51, 0.45 and
// 0.43 (arXiv 2503.12811), 0.4 to 0.6 (arXiv 2408.11029). That is the prior; it matters
// where the curve does not tell.
const (
	priorAlpha = 0.5
	priorLnSD  = 0.5
)

// fit finds the law through the points from a step on. For given α, and given shape
// of the drop, the law is linear. What these are the curve may not tell, so the ends
// of all are averaged by how well they fit, and their scatter is part of the error.
func (f *endFit) fit(from float64) (endCandidate, bool) {
	i := slices.IndexFunc(f.step, func(s float64) bool { return s >= from })
	if i < 0 || len(f.step)-i < minEndPoints {
		return endCandidate{}, false
	}
	step, loss, weight := f.step[i:], f.loss[i:], f.weight[i:]
	best := endCandidate{cost: math.Inf(1)}
	var all []endCandidate
	for _, shape := range f.shapesTried() {
		var drops []float64
		if f.drop != nil && !f.borrowed {
			drops = make([]float64, len(step))
			for k, s := range step {
				drops[k] = f.drop(s, shape)
			}
		}
		for _, alpha := range endAlphas {
			if c, ok := f.solve(step, loss, weight, drops, alpha, shape); ok {
				all = append(all, c)
				if c.cost < best.cost {
					best = c
				}
			}
		}
	}
	if len(all) == 0 {
		return best, false
	}
	// A perfect fit has no noise to weigh by; the least that a logged loss is rounded
	// to stands in.
	noise := max(square(best.noise*best.inflation), 1e-10*float64(f.logged)/float64(len(f.step)))
	var total, mean, square2, se, drop float64
	for _, c := range all {
		w := math.Exp(-(c.cost-best.cost)/(2*noise) - square(math.Log(c.alpha/priorAlpha)/priorLnSD)/2 +
			square(math.Log(best.alpha/priorAlpha)/priorLnSD)/2)
		total += w
		mean += w * c.end
		square2 += w * square(c.end-best.end)
		se += w * square(c.se)
		drop += w * c.drop
	}
	mean /= total
	best.se = math.Sqrt(se/total + max(0, square2/total-square(mean-best.end)))
	best.end, best.drop = mean, drop/total
	return best, true
}

func (f *endFit) shapesTried() []float64 {
	if f.drop == nil || f.borrowed {
		return []float64{0}
	}
	return f.shapes
}

// solve is weighted least squares with A and the drop's factor not below 0. The
// standard error at the end is that of the linear problem, widened for what
// neighbouring residuals share.
func (f *endFit) solve(step, loss, weight, drops []float64, alpha, shape float64) (endCandidate, bool) {
	p := 2 + btoi(drops != nil)
	for ; p >= 2; p-- {
		a, b := mat.NewDense(len(step), p, nil), mat.NewVecDense(len(step), nil)
		for i, s := range step {
			w := math.Sqrt(weight[i])
			a.Set(i, 0, w)
			a.Set(i, 1, w*math.Pow(f.x(s)/f.x(f.last), -alpha))
			if p > 2 {
				a.Set(i, 2, -w*drops[i]/f.dropEnd)
			}
			b.SetVec(i, w*loss[i])
		}
		var qr mat.QR
		qr.Factorize(a)
		var x mat.VecDense
		if err := qr.SolveVecTo(&x, false, b); err != nil && !errors.As(err, new(mat.Condition)) {
			return endCandidate{}, false
		}
		c := endCandidate{alpha: alpha, shape: shape}
		for k := range p {
			c.beta[k] = x.AtVec(k)
		}
		if !(c.beta[0] >= 0) || !(c.beta[1] >= 0) {
			return endCandidate{}, false
		}
		if p > 2 && !(c.beta[2] >= 0) {
			continue // a decay that raises the loss: leave it out
		}
		f.finish(&c, a, b, &qr, p)
		return c, true
	}
	return endCandidate{}, false
}

func (f *endFit) finish(c *endCandidate, a *mat.Dense, b *mat.VecDense, qr *mat.QR, p int) {
	n, _ := a.Dims()
	var fitted mat.VecDense
	fitted.MulVec(a, mat.NewVecDense(p, c.beta[:p]))
	residuals := make([]float64, n)
	for i := range residuals {
		residuals[i] = b.AtVec(i) - fitted.AtVec(i)
		c.cost += square(residuals[i])
	}
	c.noise = math.Sqrt(c.cost / float64(max(1, n-p-1)))
	c.inflation = inflation(residuals)
	c.now = c.beta[0] + c.beta[1]
	if p > 2 {
		c.now -= c.beta[2] * f.drop(f.last, c.shape) / f.dropEnd
	}
	at := mat.NewVecDense(p, nil)
	at.SetVec(0, 1)
	at.SetVec(1, math.Pow(f.x(f.o.End)/f.x(f.last), -c.alpha))
	if p > 2 {
		c.drop = c.beta[2] * f.drop(f.o.End, c.shape) / f.dropEnd
		at.SetVec(2, -f.drop(f.o.End, c.shape)/f.dropEnd)
	}
	c.end = mat.Dot(at, mat.NewVecDense(p, c.beta[:p]))
	if f.borrowed {
		c.drop = f.o.Drop
		c.end -= f.o.Drop
	}
	// Var = σ²·aᵀ(XᵀX)⁻¹a, by R of X = QR: the length of R⁻ᵀa.
	var r mat.Dense
	qr.RTo(&r)
	var y mat.VecDense
	if err := y.SolveVec(r.Slice(0, p, 0, p).T(), at); err == nil {
		c.se = c.noise * mat.Norm(&y, 2) * c.inflation
	}
}

// inflation is what first-order correlation ρ of residuals does to a standard error:
// √((1+ρ)/(1−ρ)).
func inflation(r []float64) float64 {
	var num, den float64
	for i := range r {
		den += r[i] * r[i]
		if i > 0 {
			num += r[i] * r[i-1]
		}
	}
	if den == 0 {
		return 1
	}
	rho := min(max(num/den, 0), 0.95)
	return math.Sqrt((1 + rho) / (1 - rho))
}

// scheduleSums are the sums over a schedule that the laws take, on a grid of steps.
type scheduleSums struct {
	at      []float64 // steps
	lr      []float64
	sum     []float64 // S₁
	momenta map[float64][]float64
	end     float64
	peakAt  float64 // step of the end of the warm-up
	decays  bool
}

const scheduleGrid = 1000

func newScheduleSums(lr func(float64) float64, end float64) *scheduleSums {
	n := int(min(scheduleGrid, max(end, 2)))
	s := &scheduleSums{end: end, momenta: map[float64][]float64{}}
	peak := 0.0
	for i := range n {
		step := 1 + (end-1)*float64(i)/float64(n-1)
		v := lr(step)
		if !(v > 0) {
			v = 0
		}
		s.at, s.lr = append(s.at, step), append(s.lr, v)
		sum := v
		if i > 0 {
			sum = s.sum[i-1] + (v+s.lr[i-1])/2*(step-s.at[i-1])
		}
		s.sum = append(s.sum, sum)
		if v > peak*(1+1e-9) {
			peak, s.peakAt = v, step
		}
	}
	s.decays = s.lr[n-1] < 0.99*peak
	return s
}

// between interpolates values on the grid.
func (s *scheduleSums) between(values []float64, step float64) float64 {
	if len(s.at) == 1 || step <= s.at[0] {
		return values[0]
	}
	x := (step - 1) / (s.end - 1) * float64(len(s.at)-1)
	i := min(int(x), len(s.at)-2)
	t := min(x-float64(i), 1)
	return values[i]*(1-t) + values[i+1]*t
}

// area is S₁.
func (s *scheduleSums) area(step float64) float64 {
	return max(s.between(s.sum, step), math.SmallestNonzeroFloat64)
}

// annealed is S₂ with momentum λ a step. Only what falls counts: the warm-up is no
// annealing.
func (s *scheduleSums) annealed(step, lambda float64) float64 {
	sums := s.momenta[lambda]
	if sums == nil {
		sums = make([]float64, len(s.at))
		m := 0.0
		for i := 1; i < len(s.at); i++ {
			h := s.at[i] - s.at[i-1]
			keep := math.Pow(lambda, h)
			// Over h steps with the same fall in each: Σ λ^j and its sum.
			geometric := h
			if lambda < 1 {
				geometric = (1 - keep) / (1 - lambda)
			}
			fall := 0.0
			if s.at[i] > s.peakAt {
				fall = max(0, s.lr[i-1]-s.lr[i]) / h
			}
			area := m*lambda*geometric + fall/(1-lambda)*(h-lambda*geometric)
			m = m*keep + fall*geometric
			sums[i] = sums[i-1] + area
		}
		s.momenta[lambda] = sums
	}
	return s.between(sums, step)
}

// multiPower is the sum of the multi-power law's drop without B, with C = c.
func (s *scheduleSums) multiPower(step, c float64) float64 {
	total := 0.0
	now := s.area(step)
	for k := 1; k < len(s.at) && s.at[k] <= step; k++ {
		fall := s.lr[k-1] - s.lr[k]
		if fall <= 0 || s.lr[k] <= 0 || s.at[k] <= s.peakAt {
			continue
		}
		x := math.Pow(s.lr[k], -multiGamma) * (now - s.sum[k])
		total += fall * (1 - math.Pow(1+c*x, -multiBeta))
	}
	return total
}
