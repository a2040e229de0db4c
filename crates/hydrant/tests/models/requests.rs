//! The request tables against the models' input shapes.

use std::collections::BTreeSet;

use hydrant::api::{
    Operation,
    shape::{Structure, Type},
    shapes,
};

use super::{Bounds, Model, Shape, differ_as_listed};

#[test]
fn todays_requests() {
    let (closed, found): (Vec<_>, Vec<_>) = differences(&Model::of_today())
        .into_iter()
        .partition(|found| found.ends_with(": closed"));
    assert_eq!(closed, CLOSED.map(|path| format!("{path}: closed")));
    let arn = "arn:.*, as in 2015: other stores leave parts of an ARN empty";
    let blank =
        "the model says .*, which every text without line ends matches; line ends do no harm";
    differ_as_listed(
        found,
        &[
            ("AWSKMSKeyARN: pattern", arn),
            ("AWSKMSKeyARNForSSE: pattern", arn),
            ("BucketARN: pattern", arn),
            ("KinesisStreamARN: pattern", arn),
            ("RoleARN: pattern", arn),
            ("SecretARN: pattern", arn),
            (
                "ClusterJDBCURL: pattern",
                "any host: the cluster need not be Amazon's; and the parameters of a connection",
            ),
            ("CopyOptions: pattern", blank),
            ("DataTableColumns: pattern", blank),
            ("DataTableName: pattern", blank),
            ("ErrorOutputPrefix: pattern", blank),
            ("Password: pattern", blank),
            ("Prefix: pattern", blank),
            ("Username: pattern", blank),
            (
                "DestinationId: pattern",
                "as in 2015: an id that is none is 'not found', which says more",
            ),
            (
                "FileExtension: pattern",
                "printed as the service prints it; it means the same",
            ),
            (
                "CompressionFormat: order",
                "as the service lists it in its errors",
            ),
            ("ProcessorList: max", "ours, so that every list has a bound"),
            (
                "ProcessorParameterList: max",
                "ours, so that every list has a bound",
            ),
        ],
    );
}

/// Refused as a whole, by name, so that the tables need not know what is inside.
const CLOSED: [&str; 19] = [
    "CreateDeliveryStreamInput.AmazonOpenSearchServerlessDestinationConfiguration",
    "CreateDeliveryStreamInput.AmazonopensearchserviceDestinationConfiguration",
    "CreateDeliveryStreamInput.DatabaseSourceConfiguration",
    "CreateDeliveryStreamInput.ElasticsearchDestinationConfiguration",
    "CreateDeliveryStreamInput.HttpEndpointDestinationConfiguration",
    "CreateDeliveryStreamInput.IcebergDestinationConfiguration",
    "CreateDeliveryStreamInput.MSKSourceConfiguration",
    "CreateDeliveryStreamInput.SnowflakeDestinationConfiguration",
    "CreateDeliveryStreamInput.SplunkDestinationConfiguration",
    "DataFormatConversionConfiguration.InputFormatConfiguration",
    "DataFormatConversionConfiguration.OutputFormatConfiguration",
    "DataFormatConversionConfiguration.SchemaConfiguration",
    "UpdateDestinationInput.AmazonOpenSearchServerlessDestinationUpdate",
    "UpdateDestinationInput.AmazonopensearchserviceDestinationUpdate",
    "UpdateDestinationInput.ElasticsearchDestinationUpdate",
    "UpdateDestinationInput.HttpEndpointDestinationUpdate",
    "UpdateDestinationInput.IcebergDestinationUpdate",
    "UpdateDestinationInput.SnowflakeDestinationUpdate",
    "UpdateDestinationInput.SplunkDestinationUpdate",
];

#[test]
fn requests_of_2015() {
    let loosened = "today's bound, so that clients of both times are understood";
    let fits = "today's bound: nothing longer was of any use";
    let found = differences(&Model::of_2015());
    differ_as_listed(
        found
            .into_iter()
            .filter(|found| !found.ends_with(": more"))
            .collect(),
        &[
            ("ClusterJDBCURL: max", fits),
            (
                "ClusterJDBCURL: pattern",
                "any host: the cluster need not be Amazon's; and the parameters of a connection",
            ),
            (
                "CompressionFormat: values",
                "HADOOP_SNAPPY came later and is accepted",
            ),
            ("CopyOptions: max", fits),
            ("DataTableColumns: max", fits),
            ("DataTableName: max", fits),
            ("IntervalInSeconds: min", loosened),
            ("Password: max", fits),
            (
                "Prefix: max",
                "today's bound: no S3 store takes a longer key",
            ),
            (
                "RedshiftDestinationConfiguration.Password: required",
                "today a secret may stand for it",
            ),
            (
                "RedshiftDestinationConfiguration.Username: required",
                "today a secret may stand for it",
            ),
            ("Username: max", fits),
        ],
    );
}

/// Every difference between the tables and `model`, of the operations that it has.
fn differences(model: &Model) -> Vec<String> {
    let mut comparison = Comparison {
        model,
        found: BTreeSet::new(),
    };
    for operation in Operation::ALL {
        if let Some(modelled) = model.operations.get(operation.name()) {
            let table = shapes::of(*operation);
            assert_eq!(table.name, modelled.input);
            comparison.structure(table, modelled.input);
        }
    }
    comparison.found.into_iter().collect()
}

struct Comparison<'m> {
    model: &'m Model,
    found: BTreeSet<String>,
}

impl Comparison<'_> {
    fn differ(&mut self, what: String) {
        self.found.insert(what);
    }

    fn structure(&mut self, table: &Structure, name: &str) {
        let modelled = self.model.members(name);
        let mut order = Vec::new();
        for member in table.members {
            let place = modelled.iter().position(|known| known.name == member.name);
            let path = format!("{name}.{}", member.name);
            let Some(place) = place else {
                self.differ(format!("{path}: more"));
                continue;
            };
            order.push(place);
            if member.required != modelled[place].required {
                self.differ(format!("{path}: required"));
            }
            self.value(member.kind, modelled[place].shape, &path);
        }
        for missing in (0..modelled.len()).filter(|place| !order.contains(place)) {
            self.differ(format!("{name}.{}: missing", modelled[missing].name));
        }
        if !order.is_sorted() {
            self.differ(format!("{name}: order"));
        }
    }

    fn value(&mut self, kind: &Type, shape: &str, path: &str) {
        match (kind, &self.model.shapes[shape]) {
            (Type::Structure(table), Shape::Structure(_)) => self.structure(table, shape),
            (Type::Refused, Shape::Structure(_)) => self.differ(format!("{path}: closed")),
            (
                Type::Boolean,
                Shape::Scalar {
                    kind: "boolean", ..
                },
            ) => {}
            (
                Type::Integer { min, max },
                Shape::Scalar {
                    kind: "integer",
                    bounds,
                    ..
                },
            ) => {
                let bounds = *bounds;
                self.bounds(
                    shape,
                    Bounds {
                        min: *min,
                        max: *max,
                    },
                    bounds,
                );
            }
            (
                Type::Blob { max },
                Shape::Scalar {
                    kind: "blob",
                    bounds,
                    ..
                },
            ) => {
                let bounds = *bounds;
                self.bounds(shape, of(Some(0), Some(*max)), bounds);
            }
            (
                Type::Text(text),
                Shape::Scalar {
                    kind: "string",
                    bounds,
                    secret,
                    pattern,
                },
            ) => {
                let (bounds, pattern) = (*bounds, *pattern);
                assert_eq!(text.sensitive, *secret, "{path}");
                self.bounds(shape, of(text.min, text.max), bounds);
                if text.pattern.map(|ours| ours.text) != pattern {
                    self.differ(format!("{shape}: pattern"));
                }
            }
            (Type::Enum(ours), Shape::Enum(theirs)) if ours == theirs => {}
            (Type::Enum(ours), Shape::Enum(theirs)) => {
                let set = |values: &[&str]| -> BTreeSet<String> {
                    values.iter().map(|value| (*value).to_owned()).collect()
                };
                let same = set(ours) == set(theirs);
                self.differ(format!(
                    "{shape}: {}",
                    if same { "order" } else { "values" }
                ));
            }
            (
                Type::List { element, min, max },
                Shape::List {
                    element: inner,
                    bounds,
                },
            ) => {
                let bounds = *bounds;
                let inner = *inner;
                self.bounds(shape, of(*min, Some(*max)), bounds);
                self.value(element, inner, path);
            }
            (ours, theirs) => panic!("{path}: {ours:?} is not {theirs:?}"),
        }
    }

    fn bounds(&mut self, shape: &str, ours: Bounds, theirs: Bounds) {
        // No least length and a least length of 0 are the same.
        let least = |bounds: Bounds| bounds.min.unwrap_or(0);
        if least(ours) != least(theirs) {
            self.differ(format!("{shape}: min"));
        }
        if ours.max != theirs.max {
            self.differ(format!("{shape}: max"));
        }
    }
}

fn of(min: Option<u64>, max: Option<u64>) -> Bounds {
    let number = |number: u64| i64::try_from(number).unwrap();
    Bounds {
        min: min.map(number),
        max: max.map(number),
    }
}
