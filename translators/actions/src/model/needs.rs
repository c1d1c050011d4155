//! Whether the jobs that are needed exist, and none needs itself.

use std::collections::HashMap;

use runspan_buildspec::{Code, Diagnostic, nearest, quoted};

use super::{Reader, Workflow};

pub(super) fn check(workflow: &Workflow<'_>, reader: &mut Reader<'_>) {
    let index: HashMap<&str, usize> =
        workflow.jobs.iter().enumerate().map(|(index, job)| (job.id.as_str(), index)).collect();
    for job in &workflow.jobs {
        for (needed, place) in &job.needs {
            if !index.contains_key(needed.as_str()) {
                let message = format!("job {} needs {}, which is not there", quoted(&job.id), quoted(needed));
                let diagnostic = Diagnostic::new(Code::UnknownReference, message).at(*place);
                reader.say(match nearest(needed, index.keys().copied()) {
                    Some(known) => diagnostic.help(format!("did you mean `{known}`?")),
                    None => diagnostic,
                });
            }
        }
    }
    let mut settled = vec![false; workflow.jobs.len()];
    order(workflow).into_iter().for_each(|job| settled[job] = true);
    let Some(mut at) = settled.iter().position(|settled| !settled) else { return };
    // Going back along needs that never settle ends in the circle.
    let mut way: Vec<usize> = Vec::new();
    let mut seen = vec![false; workflow.jobs.len()];
    while !seen[at] {
        seen[at] = true;
        way.push(at);
        let next = workflow.jobs[at]
            .needs
            .iter()
            .filter_map(|(id, _)| index.get(id.as_str()))
            .find(|other| !settled[**other]);
        let Some(next) = next else { return };
        at = *next;
    }
    way.drain(..way.iter().position(|job| *job == at).unwrap_or(0));
    way.push(at);
    let names: Vec<_> = way.iter().map(|job| quoted(&workflow.jobs[*job].id)).collect();
    let message = format!("jobs need each other in a circle: {}", names.join(" needs "));
    let place = workflow.jobs[at].field.place;
    reader.say(Diagnostic::new(Code::DependencyCycle, message).at(place).help("remove one of these `needs`"));
}

/// Jobs after those they need, each by its place; those in a circle or behind one are not among them.
pub(crate) fn order(workflow: &Workflow<'_>) -> Vec<usize> {
    let index: HashMap<&str, usize> =
        workflow.jobs.iter().enumerate().map(|(index, job)| (job.id.as_str(), index)).collect();
    let mut waits = vec![0_usize; workflow.jobs.len()];
    let mut behind: Vec<Vec<usize>> = vec![Vec::new(); workflow.jobs.len()];
    for (job, waiting) in waits.iter_mut().enumerate() {
        for other in workflow.jobs[job].needs.iter().filter_map(|(id, _)| index.get(id.as_str())) {
            *waiting += 1;
            behind[*other].push(job);
        }
    }
    let mut order: Vec<usize> = (0..waits.len()).filter(|job| waits[*job] == 0).collect();
    let mut next = 0;
    while let Some(job) = order.get(next).copied() {
        next += 1;
        for other in &behind[job] {
            waits[*other] -= 1;
            if waits[*other] == 0 {
                order.push(*other);
            }
        }
    }
    order
}
