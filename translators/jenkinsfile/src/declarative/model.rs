//! The model of a Declarative Pipeline; it borrows from the tree it was read from.

use std::ops::Range;

use crate::groovy::{Call, Expr, Stmt};

/// `pipeline { … }`.
#[derive(Clone, Debug, Default)]
pub struct Pipeline<'a> {
    /// The whole block.
    pub span: Range<usize>,
    /// `agent`.
    pub agent: Option<Agent<'a>>,
    /// `stages`.
    pub stages: Option<Stages<'a>>,
    /// `post`.
    pub post: Option<Post<'a>>,
    /// `environment`.
    pub environment: Option<Environment<'a>>,
    /// `tools`.
    pub tools: Option<Tools<'a>>,
    /// `options`.
    pub options: Option<Items<'a>>,
    /// `parameters`.
    pub parameters: Option<Items<'a>>,
    /// `triggers`.
    pub triggers: Option<Items<'a>>,
    /// `libraries`.
    pub libraries: Option<Libraries<'a>>,
}

/// `stages { … }` or `parallel { … }`.
#[derive(Clone, Debug, Default)]
pub struct Stages<'a> {
    /// The whole block.
    pub span: Range<usize>,
    /// The stages.
    pub stages: Vec<Stage<'a>>,
}

/// `stage('name') { … }`.
#[derive(Clone, Debug, Default)]
pub struct Stage<'a> {
    /// The whole block.
    pub span: Range<usize>,
    /// Its name.
    pub name: String,
    /// What it has in common with a matrix.
    pub directives: Directives<'a>,
    /// `steps`: one branch named `default`, or those of a lone `parallel` step.
    pub branches: Vec<Branch<'a>>,
    /// The span of `steps`.
    pub steps_span: Option<Range<usize>>,
    /// The span of the lone `parallel` step in it.
    pub parallel_step_span: Option<Range<usize>>,
    /// `stages`.
    pub stages: Option<Stages<'a>>,
    /// `parallel`.
    pub parallel: Option<Stages<'a>>,
    /// `matrix`.
    pub matrix: Option<Matrix<'a>>,
    /// `failFast`.
    pub fail_fast: Option<bool>,
    /// Where `failFast` stands.
    pub fail_fast_span: Option<Range<usize>>,
}

/// What a stage and a matrix may both say.
#[derive(Clone, Debug, Default)]
pub struct Directives<'a> {
    /// `agent`.
    pub agent: Option<Agent<'a>>,
    /// `when`.
    pub when: Option<When<'a>>,
    /// `post`.
    pub post: Option<Post<'a>>,
    /// `tools`.
    pub tools: Option<Tools<'a>>,
    /// `environment`.
    pub environment: Option<Environment<'a>>,
    /// `options`.
    pub options: Option<Items<'a>>,
    /// `input`.
    pub input: Option<Input<'a>>,
}

/// `matrix { … }`.
#[derive(Clone, Debug, Default)]
pub struct Matrix<'a> {
    /// The whole block.
    pub span: Range<usize>,
    /// What each cell has.
    pub directives: Directives<'a>,
    /// `axes`.
    pub axes: Option<Vec<Axis<'a>>>,
    /// The span of `axes`.
    pub axes_span: Range<usize>,
    /// `excludes`: each a list of axes.
    pub excludes: Option<Vec<Exclude<'a>>>,
    /// The span of `excludes`.
    pub excludes_span: Range<usize>,
    /// `stages`.
    pub stages: Option<Stages<'a>>,
}

/// `axis { … }`.
#[derive(Clone, Debug, Default)]
pub struct Axis<'a> {
    /// The whole block.
    pub span: Range<usize>,
    /// `name`.
    pub name: Option<Key>,
    /// `values`, or `notValues` in an exclude.
    pub values: Vec<&'a Expr>,
    /// Whether the values are those of `notValues`.
    pub inverse: bool,
}

/// `exclude { … }`.
#[derive(Clone, Debug, Default)]
pub struct Exclude<'a> {
    /// The whole block.
    pub span: Range<usize>,
    /// Its axes.
    pub axes: Vec<Axis<'a>>,
}

/// A name and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// The name.
    pub text: String,
    /// Where it stands.
    pub span: Range<usize>,
}

/// `agent …`.
#[derive(Clone, Debug, Default)]
pub struct Agent<'a> {
    /// The whole directive.
    pub span: Range<usize>,
    /// `any`, `none`, `label`, `node`, `docker`, `dockerfile`, `kubernetes`, or another.
    pub kind: Option<Key>,
    /// What is said of it.
    pub config: AgentConfig<'a>,
}

/// What is said of an agent.
#[derive(Clone, Debug, Default)]
pub enum AgentConfig<'a> {
    /// Nothing.
    #[default]
    Nothing,
    /// `docker 'image'`.
    Value(&'a Expr),
    /// `docker { image '…'; args '…' }`.
    Map(Vec<(Key, Config<'a>)>),
}

/// A value of an agent's block.
#[derive(Clone, Debug)]
pub enum Config<'a> {
    /// A plain value.
    Value(&'a Expr),
    /// A block of its own.
    Map(Vec<(Key, Self)>),
}

/// `environment { … }`.
#[derive(Clone, Debug, Default)]
pub struct Environment<'a> {
    /// The whole block.
    pub span: Range<usize>,
    /// Names and values.
    pub variables: Vec<(Key, &'a Expr)>,
}

/// `tools { … }`.
#[derive(Clone, Debug, Default)]
pub struct Tools<'a> {
    /// The whole block.
    pub span: Range<usize>,
    /// Kinds and names.
    pub tools: Vec<(Key, &'a Expr)>,
}

/// `options`, `parameters` or `triggers`.
#[derive(Clone, Debug, Default)]
pub struct Items<'a> {
    /// The whole block.
    pub span: Range<usize>,
    /// The calls in it.
    pub items: Vec<Item<'a>>,
}

/// A call such as `timeout(time: 1)` or `string(name: 'X')`.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    /// The whole call.
    pub span: Range<usize>,
    /// Its name.
    pub name: String,
    /// The call.
    pub call: &'a Call,
}

/// `libraries { … }`.
#[derive(Clone, Debug, Default)]
pub struct Libraries<'a> {
    /// The whole block.
    pub span: Range<usize>,
    /// What each `lib(…)` names.
    pub names: Vec<&'a Expr>,
}

/// `input { … }`.
#[derive(Clone, Debug, Default)]
pub struct Input<'a> {
    /// The whole block.
    pub span: Range<usize>,
    /// `message`, `id`, `ok`, `submitter`, `submitterParameter`.
    pub fields: Vec<(Key, &'a Expr)>,
    /// `parameters`.
    pub parameters: Vec<Item<'a>>,
}

/// `when { … }`.
#[derive(Clone, Debug, Default)]
pub struct When<'a> {
    /// The whole block.
    pub span: Range<usize>,
    /// All of them must hold.
    pub conditions: Vec<Condition<'a>>,
    /// `beforeAgent`.
    pub before_agent: Option<bool>,
    /// `beforeInput`.
    pub before_input: Option<bool>,
    /// `beforeOptions`.
    pub before_options: Option<bool>,
    /// Where the three stand.
    pub flags: Vec<Range<usize>>,
}

/// A condition of `when`.
#[derive(Clone, Debug)]
pub struct Condition<'a> {
    /// The whole condition.
    pub span: Range<usize>,
    /// Its name.
    pub name: String,
    /// What it says.
    pub kind: ConditionKind<'a>,
}

/// What a condition of `when` says.
#[derive(Clone, Debug)]
pub enum ConditionKind<'a> {
    /// `expression { … }`.
    Expression(&'a [Stmt]),
    /// `name(arguments)`.
    Call(&'a Call),
    /// `name { … }`: conditions inside, and arguments before the block.
    Nested(&'a Call, Vec<Condition<'a>>),
}

/// `post { … }`.
#[derive(Clone, Debug, Default)]
pub struct Post<'a> {
    /// The whole block.
    pub span: Range<usize>,
    /// Conditions and what they do.
    pub conditions: Vec<PostCondition<'a>>,
}

/// `always { … }` and so on.
#[derive(Clone, Debug)]
pub struct PostCondition<'a> {
    /// The whole condition.
    pub span: Range<usize>,
    /// Its name.
    pub name: String,
    /// What it does.
    pub branch: Branch<'a>,
}

/// Steps in their order.
#[derive(Clone, Debug, Default)]
pub struct Branch<'a> {
    /// The whole block.
    pub span: Range<usize>,
    /// Its name; `default` unless it is one of a `parallel` step.
    pub name: String,
    /// The statements, as they stand.
    pub body: &'a [Stmt],
    /// The statements, as steps.
    pub steps: Vec<Step<'a>>,
}

/// A step.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// The whole step.
    pub span: Range<usize>,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: StepKind<'a>,
}

/// What a step is.
#[derive(Clone, Debug)]
pub enum StepKind<'a> {
    /// `script { … }` and `expression { … }`.
    Code(&'a [Stmt]),
    /// `name arguments`.
    Plain(&'a Call),
    /// `name(arguments) { steps }`.
    Tree(&'a Call, Vec<Step<'a>>),
}
