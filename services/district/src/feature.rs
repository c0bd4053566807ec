//! `outline.geojson` and `grids.geojson`: GeoJSON feature collections in which a feature is one area.

use std::fmt::Write as _;

use geo::{Coord, LineString, MultiPolygon, Polygon};
use serde::{Deserialize, Serialize};

use crate::error::DistrictError;

/// A file of shapes: an area's code and its shape, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// What the file says of itself.
    pub metadata: Metadata,
    /// Code as written, and shape in degrees of WGS84 (longitude, latitude).
    pub shapes: Vec<(String, MultiPolygon<f64>)>,
}

/// What a file of shapes says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Whether the shapes are made up and not surveyed.
    pub synthetic: bool,
    /// Where they come from.
    pub origin: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Collection {
    #[serde(rename = "type")]
    _type: CollectionType,
    metadata: Metadata,
    features: Vec<Feature>,
}

#[derive(Deserialize)]
enum CollectionType {
    FeatureCollection,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature {
    #[serde(rename = "type")]
    _type: FeatureType,
    properties: Properties,
    geometry: Geometry,
}

#[derive(Deserialize)]
enum FeatureType {
    Feature,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Properties {
    code: String,
}

type Rings = Vec<Vec<[f64; 2]>>;

#[derive(Deserialize)]
#[serde(tag = "type", content = "coordinates", deny_unknown_fields)]
enum Geometry {
    Polygon(Rings),
    MultiPolygon(Vec<Rings>),
}

impl Features {
    /// Reads a file's text.
    ///
    /// # Errors
    /// [`DistrictError::Syntax`] with line and column, [`DistrictError::Polygon`] for a ring that is not
    /// closed or has too few points.
    pub(crate) fn parse(file: &'static str, text: &str) -> Result<Self, DistrictError> {
        let collection: Collection =
            serde_json::from_str(text).map_err(|error| DistrictError::Syntax {
                file,
                reason: error.to_string(),
            })?;
        let shapes = collection
            .features
            .into_iter()
            .map(|feature| {
                let code = feature.properties.code;
                let polygons = match feature.geometry {
                    Geometry::Polygon(rings) => vec![rings],
                    Geometry::MultiPolygon(polygons) => polygons,
                };
                let polygons: Result<Vec<_>, String> = polygons.into_iter().map(polygon).collect();
                match polygons {
                    Ok(polygons) => Ok((code, MultiPolygon(polygons))),
                    Err(reason) => Err(DistrictError::Polygon {
                        file,
                        area: code,
                        reason,
                    }),
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            metadata: collection.metadata,
            shapes,
        })
    }

    /// The file's text: one feature a line, so that a difference of two files names the grids.
    #[must_use]
    pub fn text(&self) -> String {
        let metadata = serde_json::json!(self.metadata);
        let mut text = format!(
            "{{\"type\":\"FeatureCollection\",\n\"metadata\":{metadata},\n\"features\":[\n"
        );
        for (index, (code, shape)) in self.shapes.iter().enumerate() {
            if index > 0 {
                text.push_str(",\n");
            }
            let code = serde_json::json!(code);
            let _infallible = write!(
                text,
                "{{\"type\":\"Feature\",\"properties\":{{\"code\":{code}}},\"geometry\":"
            );
            write_shape(&mut text, shape);
            text.push('}');
        }
        text.push_str("\n]}\n");
        text
    }
}

fn polygon(rings: Rings) -> Result<Polygon<f64>, String> {
    let mut rings = rings
        .into_iter()
        .map(ring)
        .collect::<Result<Vec<_>, _>>()?
        .into_iter();
    let exterior = rings.next().ok_or("it has no ring")?;
    Ok(Polygon::new(exterior, rings.collect()))
}

fn ring(positions: Vec<[f64; 2]>) -> Result<LineString<f64>, String> {
    for [longitude, latitude] in &positions {
        if !(-180.0..=180.0).contains(longitude) || !(-90.0..=90.0).contains(latitude) {
            return Err(format!(
                "{longitude}, {latitude} is not a longitude and a latitude"
            ));
        }
    }
    if positions.len() < 4 {
        return Err(format!(
            "a ring of {} positions; 4 are the least",
            positions.len()
        ));
    }
    if positions.first() != positions.last() {
        let [longitude, latitude] = positions[0];
        return Err(format!(
            "the ring that begins at {longitude}, {latitude} is not closed"
        ));
    }
    Ok(positions.into_iter().map(|[x, y]| Coord { x, y }).collect())
}

fn write_shape(text: &mut String, shape: &MultiPolygon<f64>) {
    if let [only] = shape.0.as_slice() {
        text.push_str("{\"type\":\"Polygon\",\"coordinates\":");
        write_polygon(text, only);
    } else {
        text.push_str("{\"type\":\"MultiPolygon\",\"coordinates\":[");
        for (index, polygon) in shape.0.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            write_polygon(text, polygon);
        }
        text.push(']');
    }
    text.push('}');
}

fn write_polygon(text: &mut String, polygon: &Polygon<f64>) {
    let rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
    for (index, ring) in rings.enumerate() {
        text.push_str(if index == 0 { "[[" } else { ",[" });
        for (index, Coord { x, y }) in ring.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _infallible = write!(text, "{comma}[{x},{y}]");
        }
        text.push(']');
    }
    text.push(']');
}
