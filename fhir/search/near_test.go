package search

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// distance is the great-circle distance in metres.
func distance(lat1, lon1, lat2, lon2 float64) float64 {
	const degree = math.Pi / 180
	a := math.Pow(math.Sin((lat2-lat1)*degree/2), 2) +
		math.Cos(lat1*degree)*math.Cos(lat2*degree)*math.Pow(math.Sin((lon2-lon1)*degree/2), 2)
	return 2 * earthRadius * math.Asin(math.Min(1, math.Sqrt(a)))
}

func TestNearHasWhatIsWithinTheCircle(t *testing.T) {
	x := indexer(t)
	p := x.Parser()
	coordinate := func(most int) *rapid.Generator[float64] {
		return rapid.Custom(func(t *rapid.T) float64 {
			if rapid.Bool().Draw(t, "edge") {
				return float64(rapid.SampledFrom([]int{0, most, -most, most - 1, 1 - most}).Draw(t, "at"))
			}
			return rapid.Float64Range(float64(-most), float64(most)).Draw(t, "degrees")
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		lat, lon := coordinate(90).Draw(t, "latitude"), coordinate(180).Draw(t, "longitude")
		km := rapid.SampledFrom([]float64{0, 0.001, 1, 50, 1000, 9000, 15000, 19999, 20020}).Draw(t, "km")
		bearing := rapid.Float64Range(0, 2*math.Pi).Draw(t, "bearing")
		within := km * rapid.SampledFrom([]float64{0.5, 0.999999, 1.3}).Draw(t, "part")
		lat2, lon2 := travel(lat, lon, bearing, within*1000)
		resource := fmt.Sprintf(`{"resourceType":"Location","position":{"latitude":%.12f,"longitude":%.12f}}`, lat2, lon2)
		query := fmt.Sprintf("near=%.12f|%.12f|%f|km", lat, lon, km)
		far := distance(lat, lon, lat2, lon2)
		if far <= km*1000 {
			agree(t, x, p, resource, query, true)
		} else if far > km*1400+1 && km < 10000 {
			agree(t, x, p, resource, query, false)
		}
	})
}

// travel is where one is after some metres in a direction.
func travel(lat, lon, bearing, metres float64) (float64, float64) {
	const degree = math.Pi / 180
	d := metres / earthRadius
	sin := math.Sin(lat*degree)*math.Cos(d) + math.Cos(lat*degree)*math.Sin(d)*math.Cos(bearing)
	lat2 := math.Asin(max(-1, min(1, sin)))
	lon2 := lon*degree + math.Atan2(math.Sin(bearing)*math.Sin(d)*math.Cos(lat*degree), math.Cos(d)-math.Sin(lat*degree)*math.Sin(lat2))
	return lat2 / degree, math.Remainder(lon2/degree, 360)
}

// TestNearIsLittleMoreThanTheCircle holds the boxes to a twentieth above the area
// of the circle.
func TestNearIsLittleMoreThanTheCircle(t *testing.T) {
	for _, lat := range []float64{0, 1.35, 60, -85} {
		for _, km := range []float64{1, 100, 500} {
			area := 0.0
			for _, b := range covering(lat, 103.8, km*1000/earthRadius) {
				degrees := func(key uint64) float64 { return float64(key)/1e9 - 400 }
				height := math.Sin(degrees(b.LowMax)*math.Pi/180) - math.Sin(degrees(b.LowMin)*math.Pi/180)
				area += height * (degrees(b.HighMax) - degrees(b.HighMin)) * math.Pi / 180
			}
			want := 2 * math.Pi * (1 - math.Cos(km*1000/earthRadius))
			if ratio := area / want; ratio < 1 || ratio > 1.05 {
				t.Errorf("at %v, %v km: %.4f of the circle", lat, km, ratio)
			}
		}
	}
}

func TestNearRefusesWhatIsNoPlace(t *testing.T) {
	p := indexer(t).Parser()
	for query, ok := range map[string]bool{
		"near=1.3|103.8": true, "near=1.3|103.8|5": true, "near=1.3|103.8|5|km": true, "near=1.3|103.8|5|mi": true,
		"near=1.3": false, "near=91|0|1|km": false, "near=0|181|1|km": false, "near=0|0|-1|km": false, "near=0|0|1|kg": false,
		"near=NaN|0|1|km": false, "near=0|0|Inf|km": false, "near=0|0|NaN|km": false, "near=0|0|1|km|x": false, "near=0x1p4|0": false,
	} {
		if _, refusal := p.Parse("Location", pairs(query), false); (refusal == nil) != ok {
			t.Errorf("%s: refused %v", query, refusal)
		}
	}
}
